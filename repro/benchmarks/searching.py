"""Searching an impact index with encoded queries: this project, Pyserini's searcher, an exact sparse product.

Every contestant returns its hits as lists of docids with scores.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Figures, Work
from repro.formats.impact_vectors import read_vectors
from repro.formats.runs import ranked

if TYPE_CHECKING:
    from pyserini.search.lucene import LuceneImpactSearcher


def contestants(
    index: Path, vectors: Path, queries: list[Path], hits: int, threads: int, every: int
) -> list[Contestant]:
    """Return ours and the peers; a turn searches with all queries, the slow peer with every ``every``-th."""
    settings = {"queries": [str(path) for path in queries], "hits": hits}
    lucene = {**settings, "index": str(index), "threads": threads}
    return [
        Contestant("repro", f"{__name__}:repro", lucene, ours=True),
        Contestant("pyserini, batch_search", f"{__name__}:pyserini", {**lucene, "every": every}),
        Contestant(
            "pyserini, search, one at a time",
            f"{__name__}:pyserini_single",
            {**lucene, "every": every, "threads": 1},
            rival=False,
        ),
        Contestant(
            "scipy, sparse product, one thread",
            f"{__name__}:scipy",
            {**settings, "vectors": str(vectors)},
            rival=False,
        ),
    ]


def repro(queries: list[str], index: str, hits: int, threads: int) -> Work:
    """This project's searcher."""
    from repro.lucene.searching import BatchSearcher, impact_query

    searcher = BatchSearcher(Path(index), threads)
    built = [impact_query(vector) for vector in encoded(queries).values()]

    def work() -> tuple[int, Figures]:
        rankings = list(searcher.search(built, hits))
        return len(rankings), _latencies([ranking.milliseconds for ranking in rankings])

    return work


def pyserini(queries: list[str], index: str, hits: int, threads: int, every: int) -> Work:
    """``LuceneImpactSearcher.batch_search``, its query encoder replaced by a look-up."""
    searcher, ids = _pyserini_searcher(index, queries, every)

    def work() -> int:
        found = searcher.batch_search(ids, ids, hits, threads)
        return len([[(hit.docid, hit.score) for hit in found[query]] for query in ids])

    return work


def pyserini_single(queries: list[str], index: str, hits: int, threads: int, every: int) -> Work:
    """``LuceneImpactSearcher.search``, a query after the other."""
    searcher, ids = _pyserini_searcher(index, queries, every)

    def work() -> tuple[int, Figures]:
        taken = []
        for query in ids:
            started = time.perf_counter()
            [(hit.docid, hit.score) for hit in searcher.search(query, hits)]
            taken.append(1000 * (time.perf_counter() - started))
        return len(ids), _latencies(taken)

    return work


def scipy(queries: list[str], vectors: str, hits: int) -> Work:
    """The product of each query with all documents as sparse matrices, then the k best."""
    product = SparseProduct(Path(vectors))
    vectors_of = list(encoded(queries).values())

    def work() -> tuple[int, Figures]:
        taken = []
        for vector in vectors_of:
            started = time.perf_counter()
            product.search(vector, hits)
            taken.append(1000 * (time.perf_counter() - started))
        return len(vectors_of), _latencies(taken)

    return work


class SparseProduct:
    """All document vectors as one sparse matrix (documents x terms), held in memory."""

    def __init__(self, vectors: Path) -> None:
        from scipy.sparse import csr_matrix

        self.terms: dict[str, int] = {}
        self.docids: list[str] = []
        columns: list[int] = []
        impacts: list[int] = []
        ends = [0]
        for vector in read_vectors(vectors):
            self.docids.append(vector.id)
            columns += [self.terms.setdefault(term, len(self.terms)) for term in vector.vector]
            impacts += vector.vector.values()
            ends.append(len(columns))
        shape = (len(self.docids), len(self.terms))
        self.matrix = csr_matrix((np.array(impacts, np.int32), columns, ends), shape=shape).tocsc()

    def search(self, query: dict[str, int], k: int) -> dict[str, float]:
        """Return {docid: score} of the k best documents and of all that tie with the last, in no order."""
        known = {self.terms[term]: impact for term, impact in query.items() if term in self.terms}
        columns = self.matrix[:, list(known)]
        scores = columns @ np.array(list(known.values()), np.int32)
        least = np.partition(scores, -k)[-k] if k < len(scores) else 1
        rows = np.flatnonzero(scores >= max(least, 1))
        return {self.docids[row]: float(scores[row]) for row in rows}


def check(index: Path, vectors: Path, queries: list[Path], hits: int, threads: int) -> tuple[int, int]:
    """Return the number of queries, and of those whose ranking is not the exact product's: docids, order,
    scores.
    """
    from repro.lucene.searching import BatchSearcher, impact_query

    product, wrong = SparseProduct(vectors), 0
    vectors_of = encoded([str(path) for path in queries])
    with BatchSearcher(index, threads) as searcher:
        found = searcher.search([impact_query(vector) for vector in vectors_of.values()], hits)
        for vector, ranking in zip(vectors_of.values(), found):
            exact = ranked(product.search(vector, hits))[:hits]
            wrong += exact != ranked(ranking.results())
    return len(vectors_of), wrong


def encoded(queries: list[str]) -> dict[str, dict[str, int]]:
    """Return {query id: vector} of several folders of encoded queries."""
    return {v.id: v.vector for folder in queries for v in read_vectors(Path(folder))}


def _pyserini_searcher(
    index: str, queries: list[str], every: int
) -> tuple["LuceneImpactSearcher", list[str]]:
    from repro.lucene.pyserini import prepare_pyserini

    prepare_pyserini()
    from pyserini.search.lucene import LuceneImpactSearcher

    vectors = dict(list(encoded(queries).items())[::every])

    class Encoded:
        def encode(self, query: str) -> dict[str, int]:
            return vectors[query]

    return LuceneImpactSearcher(index, Encoded(), min_idf=-1), list(vectors)


def _latencies(milliseconds: list[float]) -> Figures:
    return {
        "median ms": round(float(np.median(milliseconds)), 2),
        "99 % ms": round(float(np.quantile(milliseconds, 0.99)), 2),
    }
