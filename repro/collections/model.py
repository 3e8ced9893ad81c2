"""Test collections: documents, queries and relevance judgments, streamed from wherever they lie."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from repro.base.errors import InputError

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Document(NamedTuple):
    """A passage: its id, and its text (title, a blank, text, stripped)."""

    id: str
    text: str


class Query(NamedTuple):
    """A topic: its id and its text."""

    id: str
    text: str


Qrels = dict[str, dict[str, int]]
"""Judgments: query id -> document id -> grade."""


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

    def state(self) -> dict:
        """Return what changes when the documents change, cheap to compute (sizes and times, a version)."""


@dataclass(frozen=True)
class Collection:
    """A query set over a corpus. ``name`` and ``corpus`` are fit for file names; several names share one corpus."""

    name: str
    corpus: str
    source: Source

    def documents(self) -> Iterator[Document]:
        """Stream the corpus."""
        return self.source.documents()

    def qrels(self) -> Qrels:
        """Read the judgments."""
        return self.source.qrels()

    def queries(self, judged_only: bool = True) -> list[Query]:
        """Return the queries that have a judgment (or all), in the order of their file."""
        judged = self.qrels() if judged_only else None
        queries = [query for query in self.source.queries() if judged is None or query.id in judged]
        if not queries:
            raise InputError(
                f"collection {self.name} has no {'judged ' if judged_only else ''}query to search with"
            )
        return queries


def clean(text: str) -> str:
    """Return ``text`` stripped, its lone surrogates (which UTF-8 cannot hold) replaced by U+FFFD."""
    return LONE_SURROGATE.sub("\ufffd", text).strip()


def check_id(identifier: str, where: str) -> str:
    """Return ``identifier`` if a TREC run file can hold it; InputError else."""
    if not identifier or any(c.isspace() for c in identifier) or LONE_SURROGATE.search(identifier):
        raise InputError(
            f"{where}: the id {identifier!r} is empty or holds a blank, which a TREC run file cannot hold"
        )
    return identifier


def queries_checksum(queries: list[Query]) -> str:
    """SHA-256 over the ids and texts of ``queries``, in their order."""
    digest = hashlib.sha256()
    for query in queries:
        digest.update(f"{query.id}\0{query.text}\n".encode())
    return digest.hexdigest()
