"""Searching an impact index with texts or vectors, and why a document was found."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from repro.base.errors import InputError
from repro.formats.runs import TIES, Run, ranked
from repro.library.index import Index, Vector, as_vector
from repro.lucene.postings import document_impacts
from repro.lucene.searching import BatchSearcher, Results, impact_query
from repro.models.systems import QUERY_MAX_LENGTH

if TYPE_CHECKING:
    from repro.splade.term_encoder import TermEncoder

JAVA = threading.Lock()
"""Calls into Java go one after the other: pyjnius mixes up the objects of threads that call one method."""


class Hit(NamedTuple):
    """A document that was found; ``score`` is the dot product of the impacts."""

    id: str
    score: float


class Match(NamedTuple):
    """A term that query and document share: the impacts of both, and their product."""

    term: str
    query: int
    document: int
    product: int


class Searcher:
    """An open ``index``, searched with vectors, or with texts if there is an ``encoder``.

    ``prefix`` is put before each text, of which ``max_length`` tokens are kept (default: 256, as
    ``python -m repro.search`` keeps). ``threads`` search at a time (default: all processors). Documents of
    equal score go by id, ascending, or as trec_eval has them (``ties="trec_eval"``), at the cut at k, too.
    Several threads may share a searcher; their searches go one after the other. Use it as a context manager,
    or ``close`` it.

    The JVM runs in this process, as Pyserini's does, and so does the encoder. A process that imports Pyserini
    as well has to open a searcher, or build an index, before that.

    InputError if the folder is no index that can be read, or there is no Java.
    """

    def __init__(
        self,
        index: Index | str | Path,
        encoder: "TermEncoder | None" = None,
        *,
        prefix: str = "",
        max_length: int = QUERY_MAX_LENGTH["splade"],
        threads: int | None = None,
        ties: str = TIES[0],
    ) -> None:
        self.index = index if isinstance(index, Index) else Index(index)
        self.encoder, self.prefix, self.max_length, self.ties = encoder, prefix, max_length, ties
        with _java():
            self._searcher = BatchSearcher(self.index.path, threads or os.cpu_count() or 1, ties=ties)
        self.documents = self._searcher.documents

    def __len__(self) -> int:
        """Return the number of documents in the index."""
        return self.documents

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index."""
        with _java():
            self._searcher.__exit__()

    def search(self, query: str | Vector, k: int = 10) -> list[Hit]:
        """Return the ``k`` best documents of one query, best first; those without a common term are none."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str | Vector], k: int = 10) -> list[list[Hit]]:
        """Return the ``k`` best documents of each query.

        InputError for what is neither a text nor a vector, or for a text without an encoder.
        """
        found = self._results((("", vector) for vector in self.vectors(queries)), k)
        return [[Hit(*hit) for hit in results.items()] for _, results in found]

    def run(self, queries: Mapping[str, str | Vector], k: int = 1000) -> Run:
        """Return {query id: {document id: score}}, as ``evaluate_run`` takes it.

        A score that ties with the one before becomes the next smaller 32-bit float, as in run files: so
        every evaluation keeps this order.
        """
        found = self._results(zip(queries, self.vectors(list(queries.values()))), k)
        return {
            query: {document: float(score) for document, score in ranked(results, self.ties)}
            for query, results in found
        }

    def vectors(self, queries: Sequence[str | Vector]) -> Iterator[dict[str, int]]:
        """Yield queries as vectors, texts encoded."""
        texts = [query for query in queries if isinstance(query, str)]
        if texts and self.encoder is None:
            raise InputError(f"query {texts[0][:40]!r}: a text needs an encoder: Searcher(index, encoder)")
        encoded = self.encoder.impacts(texts, self.max_length, self.prefix) if self.encoder else iter(())
        for query in queries:
            yield next(encoded) if isinstance(query, str) else as_vector(query, "query")

    def explain(self, query: str | Vector, document: str) -> list[Match]:
        """Return the terms that ``query`` shares with the document of this id, greatest product first.

        The products' sum is the document's score. InputError if the index has no such document.
        """
        (vector,) = self.vectors([query])
        with _java():
            impacts = document_impacts(self.index.path, document, vector)
        if impacts is None:
            raise InputError(f"{self.index.path}: there is no document {document!r}")
        matches = [Match(term, vector[term], found, vector[term] * found) for term, found in impacts.items()]
        return sorted(matches, key=lambda match: (-match.product, match.term))

    def _results(self, vectors: Iterable[tuple[str, dict[str, int]]], k: int) -> list[tuple[str, Results]]:
        if k < 1:
            raise InputError(f"k: expected a positive number, found {k}")
        queries = [(key, impact_query(vector)) for key, vector in vectors]
        with _java():
            return list(self._searcher.search_all(queries, k))


@contextmanager
def _java() -> Iterator[None]:
    """Call into Java as the only thread; one that may end must not leave the JVM waiting for it."""
    with JAVA:
        try:
            yield
        finally:
            if threading.current_thread() is not threading.main_thread():
                import jnius

                jnius.detach()
