"""What an engine is: all that differs between kinds of systems, from the inputs of their artifacts to their search."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from repro.cli.options import IndexingOptions, SystemOptions
from repro.collections.model import Document, Query
from repro.models.systems import System
from repro.models.weights import Weights

Text = Document | Query
Results = Iterator[tuple[str, dict[str, float]]]
"""(query id, {docid: score}), a query at a time."""


class ShardWriter(Protocol):
    """A loaded model that writes encoded texts, a shard at a time."""

    parameters: int
    """Number of parameters of the model."""
    settings: dict[str, Any]
    """How it encodes here, for the manifest: what decides no more than a rounding."""

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict[str, int]:
        """Write shard ``number`` of ``part`` (documents or queries); return its counts, among them ``texts``."""

    def files(self, folder: Path, number: int) -> list[Path]:
        """Return the files of shard ``number``."""


@dataclass(frozen=True)
class IndexRequest:
    """What an index is built from: the texts (read when called for), or what they were encoded to."""

    documents: Callable[[], Iterator[Document]]
    count: int
    encoded: Path | None
    options: SystemOptions
    building: IndexingOptions
    threads: int
    manifest: dict[str, Any]
    """What Lucene's commit data shall hold."""


@dataclass(frozen=True)
class SearchRequest:
    """What is searched for where: the queries' texts, or what they were encoded to."""

    index: Path
    queries: Sequence[Query]
    encoded: Path | None
    options: SystemOptions
    threads: int


class Engine(Protocol):
    """A kind of system. ``options`` are the groups of SystemOptions that decide what it makes."""

    kind: str
    encodes: bool
    """Whether documents and queries are encoded by a model before they are indexed and searched with."""
    options: tuple[type, ...]

    def encoded_inputs(self, system: System, weights: Weights, options: SystemOptions) -> dict[str, Any]:
        """Return what encoded texts depend on besides the texts, their prefix and maximum length."""

    def index_name(self, corpus: str, system: str, options: SystemOptions) -> str:
        """Return the name of the index folder."""

    def index_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return what an index depends on besides the corpus or what it was encoded to."""

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return what a run depends on besides the index, the queries, the hits, the order of ties and the tag."""

    def open_encoder(
        self, system: System, weights: Weights, options: SystemOptions, threads: int
    ) -> ShardWriter:
        """Load the model; InputError if its folder is none."""

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return how an index is built under ``building``, for the manifest; its defaults filled in."""

    def build_index(self, request: IndexRequest, folder: Path) -> dict[str, int]:
        """Build an index into ``folder``; return the counts of ``documents`` indexed and ``empty`` ones left out."""

    def search(self, request: SearchRequest, stack: ExitStack) -> Results:
        """Open the index (``stack`` closes it) and return an iterator over the results, which does the searching."""
