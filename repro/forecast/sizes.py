"""How large a query set is, and texts like its own: before anything of it was fetched, and nothing is."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from repro.base.errors import InputError
from repro.collections.irds import IrDataset
from repro.collections.model import Collection, Document, Query
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, known_summary, read_through

TEXTS = 1024
"""Passages, and queries, that are at hand for a calibration, in random order: of a batch of them, as many are
long.
"""
T = TypeVar("T", Document, Query)


@dataclass(frozen=True)
class Size:
    """A query set: its documents and judged queries, and how they were ``counted``.

    ``texts`` and ``topics`` are real ones: ``texts`` the collection's own (``own_texts``), else the sample's.
    """

    collection: Collection
    documents: int
    queries: int
    counted: str
    texts: list[Document]
    topics: list[Query]
    own_texts: bool


class Corpora:
    """Summaries of corpora that are read through at most once, and not kept on the disk."""

    def __init__(self) -> None:
        self.read: dict[str, CorpusSummary] = {}

    def summary(self, collection: Collection, work: Path) -> CorpusSummary | None:
        """Return what is known of a corpus, or what reading it tells; None if it would have to be fetched."""
        if (known := known_summary(collection, work)) or not collection.source.local:
            return known
        if collection.corpus not in self.read:
            self.read[collection.corpus], _ = read_through(collection)
        return self.read[collection.corpus]


def size_of(collection: Collection, summary: CorpusSummary | None) -> Size:
    """Return a query set's size; InputError if neither a summary nor ir_datasets' metadata tell it."""
    source = collection.source
    if not isinstance(source, IrDataset):
        if summary is None:
            raise ValueError(f"{collection.name} was not read")
        asked = collection.queries()
        texts, topics = _some(collection.documents()), _some(asked)
        return Size(collection, summary.documents, len(asked), "counted", texts, topics, True)
    documents = summary.documents if summary else source.stated_documents()
    queries = source.stated_queries()
    if documents is None or queries is None:
        raise InputError(
            f"--collection {source.id}: ir_datasets does not state how many documents and queries it has; "
            "without --plan they are fetched and counted"
        )
    counted = "as ir_datasets states" if queries[1] else "as ir_datasets states, at most"
    sample, own = open_collection("sample"), source.documents_at_hand()
    texts, topics = _some((collection if own else sample).documents()), _some(sample.queries())
    return Size(collection, documents, queries[0], counted, texts, topics, own)


def _some(texts: Iterable[T]) -> list[T]:
    found = list(itertools.islice(texts, TEXTS))
    random.Random(0).shuffle(found)
    return found
