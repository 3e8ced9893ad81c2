"""Test collections: documents, queries and relevance judgments, streamed from wherever they lie."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from repro.base.errors import InputError
from repro.base.files import canonical
from repro.base.progress import note

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_ID = 512
"""Bytes of UTF-8. Lucene holds longer ones, but in NumPy's arrays every id takes as much as the longest."""
GRADES = range(-(2**31), 2**31)
"""What evaluation tools hold."""
WARNINGS = 5
"""Contradictory judgments that are shown one by one."""


class Document(NamedTuple):
    """A passage: its id, and its text (title, a blank, text, stripped)."""

    id: str
    text: str


class Query(NamedTuple):
    """A topic: its id and its text."""

    id: str
    text: str


class Judgment(NamedTuple):
    """A document's grade for a query; ``where`` it stands, for messages."""

    where: str
    query: str
    document: str
    grade: int


Qrels = dict[str, dict[str, int]]
"""Judgments: query id -> document id -> grade."""

State = dict[str, str | int]
"""What changes when documents change, cheap to compute: sizes and times, a version."""


class Source(Protocol):
    """Where a collection's parts come from (``beir.BeirFolder``, ``irds.IrDataset``)."""

    local: bool
    """Whether all of it lies on this machine; else reading a part may fetch it first."""

    def documents(self) -> Iterator[Document]:
        """Stream the documents in their order."""

    def queries(self) -> Iterator[Query]:
        """Stream all queries, judged or not."""

    def qrels(self) -> Qrels:
        """Read the judgments."""

    def state(self) -> State:
        """Return the documents' state."""

    def official_measures(self) -> list[str]:
        """Return what its makers measure, by ir_measures' names; empty if they state nothing."""


@dataclass(frozen=True)
class Collection:
    """A query set over a corpus; several share one. ``name`` and ``corpus`` are fit for file names.

    Judgments and judged queries are read once. Whoever gets them must not change them.
    """

    name: str
    corpus: str
    source: Source

    def documents(self) -> Iterator[Document]:
        """Stream the corpus."""
        return self.source.documents()

    def qrels(self) -> Qrels:
        """Return the judgments."""
        return self._qrels

    def official_measures(self) -> list[str]:
        """Return what its makers measure, by ir_measures' names; empty if they state nothing."""
        return self.source.official_measures()

    def queries(self, judged_only: bool = True) -> list[Query]:
        """Return the queries that have a judgment (or all), in their file's order; InputError if none has."""
        queries = self._judged if judged_only else list(self.source.queries())
        if not queries:
            raise InputError(
                f"collection {self.name} has no {'judged ' if judged_only else ''}query to search with"
            )
        return queries

    @cached_property
    def _qrels(self) -> Qrels:
        return self.source.qrels()

    @cached_property
    def _judged(self) -> list[Query]:
        return [query for query in self.source.queries() if query.id in self._qrels]


def clean(text: str) -> str:
    """Return ``text`` stripped, its lone surrogates (which UTF-8 cannot hold) replaced by U+FFFD."""
    return LONE_SURROGATE.sub("\ufffd", text).strip()


def check_id(identifier: str, where: str) -> str:
    """Return ``identifier``; InputError, which begins with ``where``, if runs or indexes cannot hold it."""
    if not identifier or any(c.isspace() for c in identifier) or LONE_SURROGATE.search(identifier):
        raise InputError(
            f"{where}: the id {identifier[:40]!r} is empty or holds a blank, which a TREC run cannot hold"
        )
    if "\0" in identifier:
        raise InputError(f"{where}: the id {identifier[:40]!r} holds a NUL character; leave it out")
    if len(identifier.encode()) > LONGEST_ID:
        raise InputError(
            f"{where}: the id {identifier[:40]!r}... is longer than {LONGEST_ID} bytes; give a shorter one"
        )
    return identifier


def collect_judgments(judgments: Iterable[Judgment]) -> Qrels:
    """Return judgments as qrels; of contradictory ones the last counts, and a warning says where it stands.

    InputError for a grade that does not fit 32 bits.
    """
    qrels: Qrels = {}
    contradictions = 0
    for where, query, document, grade in judgments:
        if grade not in GRADES:
            raise InputError(f"{where}: the grade does not fit 32 bits; expected a small integer")
        judged = qrels.setdefault(query, {})
        if judged.get(document, grade) != grade:
            contradictions += 1
            if contradictions <= WARNINGS:
                note(
                    f"warning: {where}: query {query}, document {document} is judged {grade} here and "
                    f"{judged[document]} before; the last counts"
                )
        judged[document] = grade
    if contradictions > WARNINGS:
        note(f"warning: {contradictions - WARNINGS:,} more judgments contradict earlier ones; the last count")
    return qrels


def judgments_checksum(qrels: Qrels) -> str:
    """SHA-256 over ``qrels``, whatever their order."""
    return hashlib.sha256(canonical(qrels).encode()).hexdigest()


def queries_checksum(queries: list[Query]) -> str:
    """SHA-256 over the ids and texts of ``queries``, in their order."""
    digest = hashlib.sha256()
    for query in queries:
        digest.update(f"{query.id}\0{query.text}\n".encode())
    return digest.hexdigest()
