"""A run held to a profile, line by line: memory is that of one topic's ids and of a few numbers a topic."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np

from repro.base.progress import bar
from repro.submission.columns import Block, blocks, shown
from repro.submission.faults import END, Faults
from repro.submission.files import opened, read_header
from repro.submission.metadata import header_problems
from repro.submission.profiles import Profile
from repro.submission.reports import Report
from repro.submission.topics import Topics

NEAR = 1e-6
"""Scores that differ by a smaller share may be the same 32-bit float (24 bits of precision)."""


@dataclass
class Topic:
    """What is known of a topic so far; ``docids`` and ``ranks`` of its lines that stand together."""

    documents: int = 0
    rank: int | None = None
    score: float | None = None
    lowest: int | None = None
    highest: int = 0
    ranked: int = 0
    docids: set[bytes] = field(default_factory=set)
    ranks: set[int] = field(default_factory=set)


def check_run(path: Path, profile: Profile, topics: Topics | None = None, depth: int | None = None) -> Report:
    """Hold a run file, compressed or not, to a profile; ``depth`` overrides its documents a topic.

    The file is read a second time if the lines of some topics do not stand together, for documents that are
    listed in two places; then the ids of these topics are held. InputError if it cannot be read.
    """
    report = Report(path, profile, topics)
    with opened(path) as file:
        scattered = _Check(report, depth).read(file)
    if scattered:
        with opened(path) as file:
            _find_distant_duplicates(_blocks(file, Report(path, profile, None)), scattered, report.faults)
    return report


def _blocks(file: BinaryIO, report: Report) -> Iterator[Block]:
    """Yield the documents of an open run, after its header; the faults of lines go to the report."""
    header = read_header(file)
    if header and not report.profile.header:
        report.faults.add("comment", 1, f"a commented header, which {report.profile.name} does not take")
    elif header:
        for line, problem in header_problems(header):
            report.faults.add("ir_metadata", line, problem)
    return blocks(file, report.path, len(header) + 1, report.profile, report.faults, report)


class _Check:
    """One pass over a run: the state of each topic, and what the lines before have settled."""

    def __init__(self, report: Report, depth: int | None) -> None:
        self.report, self.faults, self.depth = report, report.faults, depth
        self.topics: dict[bytes, Topic] = {}
        self.scattered: set[bytes] = set()
        self.ties = 0

    def read(self, file: BinaryIO) -> set[bytes]:
        """Read all lines; return the topics whose lines do not stand together."""
        before, topic = None, Topic()
        with bar(None, f"checking {self.report.path.name}", "lines") as progress:
            for block in _blocks(file, self.report):
                if block.query != before:
                    before, topic = block.query, self._begin(block, topic)
                self.report.lines += len(block.docids)
                if not self._continues(topic, block):
                    for number, docid, rank, score in zip(
                        count(block.number), block.docids, block.ranks, block.scores
                    ):
                        self._document(topic, number, block.query, docid)
                        self._order(topic, number, block.query, rank, score)
                progress.update(len(block.docids))
        self._end()
        return self.scattered

    def _continues(self, topic: Topic, block: Block) -> bool:
        """Take a block whose documents are all new, of the run's kind, and in order; tell whether it was."""
        form, limit, documents = self.report.docids, self._limit(), len(block.docids)
        following = topic.highest + 1
        if (
            form is None
            or topic.ranked != topic.highest
            or block.ranks != list(range(following, following + documents))
            or (limit is not None and topic.documents + documents > limit)
            or not _decrease(topic.score, block.scores)
        ):
            return False
        new = set(block.docids)
        if len(new) < documents or not new.isdisjoint(topic.docids):
            return False
        if not all(map(form.pattern.fullmatch, block.docids)):
            return False
        topic.docids |= new
        topic.ranks.update(range(following, following + documents))
        topic.documents += documents
        topic.ranked += documents
        topic.lowest = topic.lowest or following
        topic.highest += documents
        topic.rank, topic.score = topic.highest, block.scores[-1]
        return True

    def _begin(self, block: Block, before: Topic) -> Topic:
        """Return the state of the topic whose lines begin, or go on, here."""
        number, query = block.number, block.query
        before.docids, before.ranks = set(), set()
        topic = self.topics.get(query)
        if topic is not None:
            self.scattered.add(query)
            return topic
        topics = self.report.topics
        if self.report.profile.numbers and not query.isdigit():
            self.faults.add("topic id", number, f"topic {shown(query)!r}; expected an integer")
        elif topics is not None and query not in topics.allowed:
            self.faults.add("unknown topic", number, f"topic {shown(query)} is none of {topics.collection}'s")
        self.topics[query] = topic = Topic()
        return topic

    def _document(self, topic: Topic, number: int, query: bytes, docid: bytes) -> None:
        """Compare a document with those before it: not listed yet, of the same kind, not one too many."""
        if docid in topic.docids:
            self.faults.add(*_duplicate(number, query, docid))
            return
        topic.docids.add(docid)
        topic.documents += 1
        form = self.report.docids
        if form is None or not form.pattern.fullmatch(docid):
            self._settle_form(number, docid)
        limit = self._limit()
        if limit is not None and topic.documents == limit + 1:
            self.faults.add("too many", number, f"topic {shown(query)} has more than {limit:,} documents")

    def _settle_form(self, number: int, docid: bytes) -> None:
        """Take the run's kind of documents from the first that is of any; a fault for any other."""
        profile, settled = self.report.profile, self.report.docids
        found = next((form for form in profile.docids if form.pattern.fullmatch(docid)), None)
        if found is None:
            expected = " or ".join(form.example for form in profile.docids)
            self.faults.add("docid", number, f"document id {shown(docid)!r}; expected one like {expected}")
        elif settled is None:
            self.report.docids = found
        else:
            kinds = f"{shown(docid)} is of {found.name}, those before are of {settled.name}"
            self.faults.add("docid", number, f"document {kinds}")

    def _limit(self) -> int | None:
        """Return the number of documents that a topic may have."""
        form = self.report.docids
        return self.depth or (form.depth if form else None)

    def _order(self, topic: Topic, number: int, query: bytes, rank: int | None, score: float | None) -> None:
        """Compare rank and score with those of the line before, and the rank with all of the topic."""
        if rank is None:
            return
        limit = self._limit()
        if self.report.profile.tabular and limit is not None and not 1 <= rank <= limit:
            self.faults.add("rank", number, f"rank {rank}; expected 1 to {limit:,}")
        if rank in topic.ranks:
            self.faults.add("rank", number, f"topic {shown(query)} has rank {rank} a second time")
        else:
            topic.ranks.add(rank)
            topic.ranked += 1
        topic.lowest = rank if topic.lowest is None else min(rank, topic.lowest)
        topic.highest = max(rank, topic.highest)
        if score is not None and topic.score is not None and topic.rank is not None:
            gain = score - topic.score
            if (rank - topic.rank) * gain > 0:
                self.faults.add(
                    "order",
                    number,
                    f"rank {rank} has score {score:g}, rank {topic.rank} before it {topic.score:g}; "
                    "evaluators go by score",
                )
            elif abs(gain) <= NEAR * abs(score) and _float32(score) == _float32(topic.score):
                self.ties += 1
        topic.rank, topic.score = rank, score

    def _end(self) -> None:
        """Judge the run as a whole."""
        report = self.report
        report.documents = [topic.documents for topic in self.topics.values()]
        if not self.topics:
            if not self.faults.total:
                self.faults.add("empty", END, f"no line in it; expected {report.profile.columns}")
            return
        for query in sorted(report.topics.required.difference(self.topics)) if report.topics else ():
            self.faults.add("missing topic", END, f"topic {shown(query)} has no line")
        if uneven := sum(_uneven(topic) for topic in self.topics.values()):
            report.warnings.append(f"topics whose ranks do not go from 1 up by one: {uneven:,}")
        if self.ties:
            report.warnings.append(
                f"documents with the same score as the one before (as 32-bit floats): {self.ties:,}; "
                "evaluators order them by docid"
            )


def _uneven(topic: Topic) -> bool:
    return topic.ranked > 0 and (topic.lowest, topic.highest) != (1, topic.ranked)


def _find_distant_duplicates(found: Iterable[Block], scattered: set[bytes], faults: Faults) -> None:
    """Add a fault for each document that one of the ``scattered`` topics lists in lines that stand apart."""
    seen: dict[bytes, dict[bytes, int]] = {query: {} for query in scattered}
    part, before = 0, None
    for number, query, docids, _, _ in found:
        if query != before:
            part, before = part + 1, query
        for at, docid in enumerate(docids if query in seen else (), number):
            if seen[query].setdefault(docid, part) != part:
                faults.add(*_duplicate(at, query, docid))


def _duplicate(number: int, query: bytes, docid: bytes) -> tuple[str, int, str]:
    return "duplicate", number, f"topic {shown(query)} lists document {shown(docid)} a second time"


def _decrease(before: float | None, scores: list[float | None]) -> bool:
    """Tell whether scores, if there are any, strictly decrease from ``before`` on as 32-bit floats."""
    if scores[0] is None:
        return True
    values = np.array(scores if before is None else [before, *scores], dtype=np.float32)
    return bool((values[1:] < values[:-1]).all())


def _float32(score: float) -> bytes:
    return struct.pack("f", score)
