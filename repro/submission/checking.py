"""A run held to a profile, line by line: memory is that of one topic's ids and of a few numbers a topic."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np

from repro.base.progress import bar
from repro.submission.columns import Block, blocks, shown
from repro.submission.faults import END
from repro.submission.files import opened, read_header
from repro.submission.metadata import header_problems
from repro.submission.profiles import Profile
from repro.submission.ranking import Ranking, disorder, duplicate, second_rank
from repro.submission.reports import Report
from repro.submission.scattered import compare_parts
from repro.submission.topics import Topics


@dataclass
class Topic:
    """What is known of a topic so far; ``docids`` and ``ranking`` of its lines that stand together."""

    documents: int = 0
    lowest: int | None = None
    highest: int = 0
    ranked: int = 0
    docids: set[bytes] = field(default_factory=set)
    ranking: Ranking = field(default_factory=Ranking)


def check_run(path: Path, profile: Profile, topics: Topics | None = None, depth: int | None = None) -> Report:
    """Hold a run file, compressed or not, to a profile; ``depth`` overrides its documents a topic.

    The file is read a second time if the lines of some topics do not stand together, to compare those that
    stand apart; then the ids, ranks and scores of these topics are held. InputError if it cannot be read.
    """
    report = Report(path, profile, topics)
    check = _Check(report, depth)
    with opened(path) as file:
        check.read(file)
    if check.scattered:
        with opened(path) as file:
            rankings = compare_parts(
                _blocks(file, Report(path, profile, None)), check.scattered, report.faults
            )
        for query, ranking in rankings.items():
            check.topics[query].ranking = ranking
    check.end()
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
        """Topics whose lines do not stand together."""

    def read(self, file: BinaryIO) -> None:
        """Read all lines."""
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

    def _continues(self, topic: Topic, block: Block) -> bool:
        """Take a block whose documents are all new, of the run's kind, and in order; tell whether it was."""
        form, limit, documents = self.report.docids, self._limit(), len(block.docids)
        following = topic.highest + 1
        if (
            form is None
            or topic.ranked != topic.highest
            or block.ranks != list(range(following, following + documents))
            or (limit is not None and topic.documents + documents > limit)
            or not _decrease(topic.ranking.scores[-1:], block.scores)
        ):
            return False
        new = set(block.docids)
        if len(new) < documents or not new.isdisjoint(topic.docids):
            return False
        if not all(map(form.pattern.fullmatch, block.docids)):
            return False
        topic.docids |= new
        topic.ranking.extend(list(range(following, following + documents)), block.scores)
        topic.documents += documents
        topic.ranked += documents
        topic.lowest = topic.lowest or following
        topic.highest += documents
        return True

    def _begin(self, block: Block, before: Topic) -> Topic:
        """Return the state of the topic whose lines begin, or go on, here."""
        number, query = block.number, block.query
        before.docids = set()
        before.ranking.forget()
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
            self.faults.add(*duplicate(number, query, docid))
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
        """Compare rank and score with those of the lines before that stand with this one."""
        if rank is None:
            return
        limit = self._limit()
        if self.report.profile.tabular and limit is not None and not 1 <= rank <= limit:
            self.faults.add("rank", number, f"rank {rank}; expected 1 to {limit:,}")
        topic.lowest = rank if topic.lowest is None else min(rank, topic.lowest)
        topic.highest = max(rank, topic.highest)
        if rank in topic.ranking:
            self.faults.add(*second_rank(number, query, rank))
            return
        topic.ranked += 1
        if contradicted := topic.ranking.add(rank, score):
            self.faults.add(*disorder(number, topic.ranking, rank, contradicted[0]))

    def end(self) -> None:
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
        if ties := sum(topic.ranking.ties for topic in self.topics.values()):
            report.warnings.append(
                f"documents with the same score as the one before (as 32-bit floats): {ties:,}; "
                "evaluators order them by docid"
            )


def _uneven(topic: Topic) -> bool:
    return topic.ranked > 0 and (topic.lowest, topic.highest) != (1, topic.ranked)


def _decrease(before: list[float | None], scores: list[float | None]) -> bool:
    """Tell whether scores, if there are any, strictly decrease from ``before`` on as 32-bit floats."""
    if scores[0] is None:
        return True
    values = np.array([*before, *scores], dtype=np.float32)
    return bool((values[1:] < values[:-1]).all())
