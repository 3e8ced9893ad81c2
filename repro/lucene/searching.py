"""Search Lucene indexes: BM25 over texts and impacts over encoded queries, in batches, a thread a query.

Queries are built as Anserini builds them, so scores equal Pyserini's. Documents of equal score are ordered by docid
descending, at the cut at k as well: trec_eval's order of ties. All of it happens in Java (native/lucene/BatchSearcher.java),
since fetching a thousand hits one by one from Python takes ten times as long as finding them.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from repro.base.errors import InputError
from repro.lucene.java import java_error, start_jvm

BATCH = 256
"""Queries that are searched before the results of the first are handed on."""

Results = dict[str, float]
"""Document id -> score, best first."""


@dataclass(frozen=True)
class Ranking:
    """One query's documents, best first, their scores (float32), and how long the query took."""

    docids: list[str]
    scores: np.ndarray
    milliseconds: float

    def results(self) -> Results:
        """Return the documents with their scores."""
        return dict(zip(self.docids, self.scores.tolist()))


class BatchSearcher:
    """An open index. Use as a context manager; raises InputError if the folder is no Lucene index."""

    def __init__(self, index: Path, threads: int, bm25: tuple[float, float] | None = None) -> None:
        """Open an index of texts, to be searched with BM25's (k1, b), or one of impacts."""
        start_jvm()
        from jnius import JavaException, autoclass

        java, path = autoclass("repro.BatchSearcher"), str(index.resolve())
        try:
            self.searcher = java.bm25(path, threads, *bm25) if bm25 else java.impacts(path, threads)
        except JavaException as error:
            raise InputError(
                f"{index} is no Lucene index ({java_error(error)}); build one with python -m repro.index"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.searcher.close()

    def search(self, queries: list[str], k: int) -> Iterator[Ranking]:
        """Yield the best ``k`` documents of each query: a text, or what ``impact_query`` returns."""
        hits = self.searcher.search(queries, k)
        docids, scores = hits.docids.tostring().decode().split("\n"), hits.scores.tostring()
        scores, start = np.frombuffer(scores, dtype="<f4"), 0
        for count, milliseconds in zip(hits.counts, hits.milliseconds):
            end = start + count
            yield Ranking(docids[start:end], scores[start:end], milliseconds)
            start = end

    def search_all(self, queries: Iterable[tuple[str, str]], k: int) -> Iterator[tuple[str, Results]]:
        """Yield (query id, results) for each (query id, query), in order."""
        queries = iter(queries)
        while part := list(itertools.islice(queries, BATCH)):
            rankings = self.search([query for _, query in part], k)
            yield from ((qid, ranking.results()) for (qid, _), ranking in zip(part, rankings))


def impact_query(vector: Mapping[str, int]) -> str:
    """Return {term: impact} in the form that BatchSearcher takes: lines of term, tab, impact."""
    return "\n".join(f"{term}\t{impact}" for term, impact in vector.items())
