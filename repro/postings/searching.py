"""Search postings with compiled code: the same rankings as of the Lucene index, sooner and without Java."""

import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from repro.base.errors import InputError
from repro.formats.runs import TIES, docids_descend
from repro.lucene.searching import Ranking, Results, search_in_batches
from repro.postings import compiled
from repro.postings.layout import read


class PostingsSearcher:
    """Open postings, searched by ``threads`` threads, as ``lucene.searching.BatchSearcher`` does an index.

    Use as a context manager. InputError if the folder holds none that can be read, or nothing that reads them
    was compiled.
    """

    def __init__(self, folder: Path, threads: int, ties: str = TIES[0]) -> None:
        if reason := compiled.unavailable():
            raise InputError(f"the compiled search cannot be used: {reason}; search with --scorer lucene")
        self.postings = read(folder)
        self.documents = self.postings.documents
        self._index = compiled.Index.of(self.postings, docids_descend(ties))
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def search(self, queries: list[str], k: int) -> Iterator[Ranking]:
        """Yield the best ``k`` documents of each query, which is what ``impact_query`` returns."""
        yield from self._pool.map(self._rank, queries, itertools.repeat(k))

    def search_all(self, queries: Iterable[tuple[str, str]], k: int) -> Iterator[tuple[str, Results]]:
        """Yield (query id, results) for each (query id, query), in order."""
        return search_in_batches(self, queries, k)

    def _rank(self, query: str, k: int) -> Ranking:
        started = time.perf_counter()
        lists, weights = [], []
        for line in query.split("\n") if query else ():
            term, _, weight = line.rpartition("\t")
            if (number := self.postings.terms.get(term)) is not None:
                lists.append(number)
                weights.append(int(weight))
        if weights and min(weights) < 0:
            raise InputError(f"a query's weight is {min(weights)}; expected none below 0")
        of_query = np.array(lists, np.int32), np.array(weights, np.uint32)
        hits = min(k, self.documents, int(self.postings.arrays["count"][of_query[0]].sum()))
        text, scores = compiled.search(self._index, *of_query, max(1, hits))
        return Ranking(text.decode().split("\n")[:-1], scores, 1000 * (time.perf_counter() - started))
