"""What an engine is: all that differs between kinds of systems, from their artifacts' inputs to their search.

An engine works on texts as they are, on what a model encoded them to (queries perhaps otherwise), or on the
runs of other systems; only there the protocols differ.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from repro.cli.options import IndexingOptions, SystemOptions
from repro.collections.model import Document, Query
from repro.models.systems import System
from repro.models.weights import Weights

Text = Document | Query
Results = Iterator[tuple[str, dict[str, float]]]
"""(query id, {docid: score}), a query at a time."""


WINDOW, CUDA_WINDOW = 4096, 65_536
"""Texts encoded at a time, which is what is held in memory of them: on a GPU more, as those of one length are
computed together and have to fill it.
"""


def window_on(processor: str) -> int:
    """Return the texts at a time for one of torch's types of devices."""
    return CUDA_WINDOW if processor == "cuda" else WINDOW


class ShardWriter(Protocol):
    """A loaded model that writes encoded texts, a shard at a time."""

    parameters: int
    """Number of parameters of the model."""
    settings: dict[str, str]
    """The way it encodes here, for the manifest: what decides no more than a rounding."""
    window: int
    """Texts that it wants at a time."""

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict[str, int]:
        """Write shard ``number`` of ``part`` (documents or queries); return its counts (``texts``, ...)."""

    def files(self, folder: Path, number: int) -> list[Path]:
        """Return the files of shard ``number``, which others may share."""

    def keep(self, folder: Path, texts: int) -> bool:
        """Cut off what stands behind the first ``texts`` in files that shards share; tell whether so many are
        there.
        """


@dataclass(frozen=True)
class IndexRequest:
    """What is asked of an index: it must hold ``count`` documents, those without any term among them."""

    count: int
    options: SystemOptions
    building: IndexingOptions
    threads: int
    manifest: dict[str, Any]
    """What Lucene's commit data shall hold."""


@dataclass(frozen=True)
class SearchRequest:
    """What is searched, and with which options."""

    index: Path
    options: SystemOptions
    threads: int
    postings: Path | None = None
    """The index's postings as compiled code searches them, which finds the same; None to search the index."""


@dataclass(frozen=True)
class CombiningRequest:
    """What runs are combined into: ``runs`` has, for each part, query id -> its best documents, best first.

    ``weights`` are those of a model that takes part; at ``scratch`` a file may lie meanwhile.
    """

    runs: Sequence[Mapping[str, list[str]]]
    queries: Sequence[Query]
    documents: Callable[[], Iterator[Document]]
    weights: Weights | None
    options: SystemOptions
    threads: int
    scratch: Path


@dataclass(frozen=True)
class Combining:
    """``results``, an iterator that computes them, and the number of ``parameters`` of a model that takes
    part.
    """

    results: Results
    parameters: int = 0


class Engine(Protocol):
    """A kind of system. ``options`` are the groups of SystemOptions that decide what it makes."""

    kind: str
    options: tuple[type, ...]

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return what a run depends on besides its sources, hits, order of ties, tag and weights."""


class IndexEngine(Engine, Protocol):
    """An engine that searches an index of its own."""

    combines: Literal[False]
    has_impacts: bool
    """Whether its indexes are of impacts, whose postings ``repro.postings`` lays out."""

    def index_name(self, corpus: str, system: str, options: SystemOptions) -> str:
        """Return the name of the index folder."""

    def index_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return what an index depends on besides the corpus or what it was encoded to."""

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return how an index is built under ``building``, for the manifest; its defaults filled in."""

    def written_by(self) -> dict[str, str]:
        """Return the version of the library that writes and reads the index, if that decides who reads it."""

    def unreadable(self, written_by: dict[str, str]) -> str | None:
        """Return why what is installed cannot read an index, as part of a sentence; None if it can."""


class TextEngine(IndexEngine, Protocol):
    """An engine that works on texts as they are."""

    encodes: Literal[False]

    def build_index(
        self, documents: Iterable[Document], request: IndexRequest, folder: Path
    ) -> dict[str, int]:
        """Build an index into ``folder``; return its counts: ``documents``, and ``empty`` ones left out.

        InputError if there are not as many documents as requested.
        """

    def search(self, queries: Sequence[Query], request: SearchRequest, stack: ExitStack) -> Results:
        """Open the index (``stack`` closes it); return an iterator over the results, which searches."""


class EncodingEngine(IndexEngine, Protocol):
    """An engine that works on what documents and queries are encoded to.

    One model encodes both, unless queries are weighed by what the index counts, once it is built
    (``weighs_by_index``). Documents and index are then those of the system that ``System.documents_of``
    names.
    """

    encodes: Literal[True]
    weighs_by_index: bool
    precisions: tuple[str, ...]
    """Which values of ``--precision`` it has."""

    def encoded_inputs(self, system: System, options: SystemOptions) -> dict[str, Any]:
        """Return what encoded texts depend on besides weights, texts, prefix and maximum length."""

    def open_encoder(
        self,
        system: System,
        weights: Weights,
        options: SystemOptions,
        threads: int,
        index: Path | None = None,
    ) -> ShardWriter:
        """Load the model, or what encodes queries by an ``index``; InputError if its folder is none."""

    def join(self, shares: Sequence[Path], folder: Path) -> None:
        """Put folders of consecutive shards together, without a copy where that is possible."""

    def build_index(self, encoded: Path, request: IndexRequest, folder: Path) -> dict[str, int]:
        """Do the same as a text engine, from a folder of encoded documents."""

    def search(self, encoded: Path, request: SearchRequest, stack: ExitStack) -> Results:
        """Do the same as a text engine, with a folder of encoded queries."""


class CombiningEngine(Engine, Protocol):
    """An engine that makes its run of the runs of other systems."""

    encodes: Literal[False]
    combines: Literal[True]

    def combine(self, request: CombiningRequest, stack: ExitStack) -> Combining:
        """Load what is needed (``stack`` closes it); return an iterator over the results.

        InputError if a model's folder is none.
        """
