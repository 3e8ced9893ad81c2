"""Search Lucene indexes: BM25 over texts and impacts over encoded queries, in batches, a thread a query.

Queries are built as Anserini builds them, so scores equal Pyserini's. Documents of equal score are ordered by
docid, at the cut at k as well: ascending as in Anserini, or descending as in trec_eval. All of it happens in
Java (native/lucene/BatchSearcher.java), since fetching a thousand hits one by one from Python takes ten times
as long as finding them.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from repro.base.errors import InputError
from repro.formats.runs import TIES, docids_descend
from repro.lucene.errors import java_error, opening
from repro.lucene.java import start_jvm

BATCH = 256
"""Queries that are searched before the results of the first are handed on, at most."""

HITS = 2**21
"""Hits that are held at a time, unless one query has more: fewer queries go together where k is large."""

LARGEST_IMPACT = 2**31 - 1

Results = dict[str, float]
"""Document id -> score, best first."""


@dataclass(frozen=True)
class Ranking:
    """One query's documents, best first, their scores (float32), and what the query took."""

    docids: list[str]
    scores: np.ndarray
    milliseconds: float

    def results(self) -> Results:
        """Return the documents with their scores."""
        return dict(zip(self.docids, self.scores.tolist()))


class BatchSearcher:
    """An open index. Use as a context manager; raises InputError if the folder is no Lucene index."""

    def __init__(
        self, index: Path, threads: int, bm25: tuple[float, float] | None = None, ties: str = TIES[0]
    ) -> None:
        """Open an index of texts, to be searched with BM25's (k1, b), or one of impacts.

        ``ties`` is one of ``repro.formats.runs.TIES``. InputError for a k1 that is negative or not finite, or
        a b outside [0, 1].
        """
        if bm25 is not None:
            _check_bm25(*bm25)
        ascending = not docids_descend(ties)
        start_jvm()
        from jnius import autoclass

        self.index, java, path = index, autoclass("repro.BatchSearcher"), str(index.resolve())
        with opening(index):
            if bm25 is not None:
                self.searcher = java.bm25(path, threads, *bm25, ascending)
            else:
                self.searcher = java.impacts(path, threads, ascending)
        self.documents = self.searcher.documents()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.searcher.close()

    def search(self, queries: list[str], k: int) -> Iterator[Ranking]:
        """Yield the best ``k`` documents of each query: a text, or what ``impact_query`` returns.

        InputError if Lucene cannot read the index to its end, as when a file is damaged.
        """
        from jnius import JavaException

        try:
            hits = self.searcher.search(queries, min(k, max(1, self.documents)))
        except JavaException as error:
            raise InputError(
                f"{self.index} could not be searched: {java_error(error)}; if it was changed, build it again "
                "with python -m repro.index --force"
            ) from error
        docids, start = hits.docids.tostring().decode().split("\n"), 0
        scores = np.frombuffer(hits.scores.tostring(), dtype="<f4")
        for count, milliseconds in zip(hits.counts, hits.milliseconds):
            end = start + count
            yield Ranking(docids[start:end], scores[start:end], milliseconds)
            start = end

    def search_all(self, queries: Iterable[tuple[str, str]], k: int) -> Iterator[tuple[str, Results]]:
        """Yield (query id, results) for each (query id, query), in order."""
        return search_in_batches(self, queries, k)


class Searching(Protocol):
    """What searches an index of so many ``documents``."""

    documents: int

    def search(self, queries: list[str], k: int) -> Iterator[Ranking]:
        """Yield the best ``k`` documents of each query."""


def search_in_batches(
    searcher: Searching, queries: Iterable[tuple[str, str]], k: int
) -> Iterator[tuple[str, Results]]:
    """Yield (query id, results) for each (query id, query), in order; no more are held than are searched."""
    queries = iter(queries)
    batch = max(1, min(BATCH, HITS // max(1, min(k, searcher.documents))))
    while part := list(itertools.islice(queries, batch)):
        rankings = searcher.search([query for _, query in part], k)
        yield from ((qid, ranking.results()) for (qid, _), ranking in zip(part, rankings))


def impact_query(vector: Mapping[str, int]) -> str:
    """Return {term: impact} in the form that BatchSearcher takes: lines of term, tab, impact.

    InputError for an impact of 2^31 or more, which Lucene's frequencies cannot hold either.
    """
    for term, impact in vector.items():
        if impact > LARGEST_IMPACT:
            raise InputError(
                f"the query's impact of {term!r} is {impact:,}, and {LARGEST_IMPACT:,} is the largest that "
                "an index holds; encode with a smaller --scale"
            )
    return "\n".join(f"{term}\t{impact}" for term, impact in vector.items())


def _check_bm25(k1: float, b: float) -> None:
    if not (math.isfinite(k1) and k1 >= 0):
        raise InputError(f"BM25's k1 is {k1}; expected a finite number of 0 or more")
    if not 0 <= b <= 1:
        raise InputError(f"BM25's b is {b}; expected a number from 0 to 1")
