"""Search FAISS indexes by inner product, whatever their size; documents of equal score are ordered by docid.

The vectors of ``flat`` and ``float16`` indexes are read from the disk a block at a time, multiplied with all
queries by FAISS, and each query's best kept, in the memory of two blocks (256 MB each), the hits (36 bytes x
k x 4,096 queries at most) and the docids. ``hnsw`` is loaded whole.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.dense.stored import open_index
from repro.formats.embeddings import read_embeddings
from repro.formats.runs import TIES, docids_descend

QUERIES = 4096
"""Queries that share one pass over the vectors, at most."""

SPARE = 64
"""Hits beyond k, among which the ties at the cut usually end."""

HITS = QUERIES * (1000 + SPARE)
"""Hits that are held at a time, unless one query has more: fewer queries share a pass where k is large."""


class DenseSearcher:
    """An open FAISS index of any of the three kinds; InputError if the folder is none, or not whole."""

    def __init__(self, index: Path, threads: int, ties: str = TIES[0]) -> None:
        """Open ``index/index`` and ``index/docid``; ``ties`` is one of ``repro.formats.runs.TIES``."""
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index, self.descending = index, docids_descend(ties)
        try:
            self.docids = Docids(index / "docid")
            self.stored = open_index(index / "index")
        except (OSError, RuntimeError, MemoryError):
            raise InputError(
                f"{index} is no FAISS index, or not whole (files 'index' and 'docid'); build one with "
                "python -m repro.index"
            ) from None
        vectors, self.dimensions = self.stored.shape
        if vectors != len(self.docids) or vectors == 0:
            raise InputError(
                f"{index} holds {vectors:,} vectors and {len(self.docids):,} docids, not as many of both; "
                "build it again with python -m repro.index --force"
            )

    def search_all(self, queries: Path, k: int) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield (query id, {docid: inner product}) for each query of a folder of embeddings, in order."""
        k = min(k, len(self.docids))
        together = max(1, min(QUERIES, HITS // (k + SPARE)))
        for ids, vectors in read_embeddings(queries):
            for start in range(0, len(ids), together):
                scores, rows = self.search(np.array(vectors[start : start + together]), k)
                for query, values, found in zip(ids[start : start + together], scores, rows):
                    yield query, {self.docids[row]: float(s) for row, s in zip(found, values) if row >= 0}

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and rows of the best k for queries (float32, queries x dimensions).

        Both have a row for a query and k columns, or as many as the index has documents if these are fewer;
        best first, equal scores by docid; row -1 where a graph found fewer. InputError if the dimensions are
        not the index's.
        """
        if queries.shape[1] != self.dimensions:
            raise InputError(
                f"the queries have {queries.shape[1]} dimensions, and the documents of {self.index} "
                f"{self.dimensions}; were they encoded by the same model?"
            )
        k = min(k, len(self.docids))
        scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        pending, size = np.arange(len(queries)), k + SPARE
        while len(pending):  # again, deeper, where documents beyond those found may tie with the k-th
            size, unsure = min(size, len(self.docids)), []
            together = max(1, HITS // size)
            for part in (pending[i : i + together] for i in range(0, len(pending), together)):
                values, found, complete = self.stored.search(queries[part], k, size)
                scores[part], rows[part] = self._ordered(values, found, k)
                unsure.append(part[~complete])
            pending, size = np.concatenate(unsure), 4 * size
        return scores, rows

    def _ordered(self, scores: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the best k of results that are in the order of their scores, equal scores by docid."""
        tied = scores[:, 1:] == scores[:, :-1]
        for query in np.flatnonzero(tied[:, :k].any(axis=1)):
            edges = np.flatnonzero(np.concatenate(([True], ~tied[query], [True])))
            for start, end in itertools.pairwise(edges.tolist()):
                if start >= k or rows[query, start] < 0:
                    break
                if end - start > 1:
                    rows[query, start:end] = sorted(
                        rows[query, start:end].tolist(), key=self.docids.utf8, reverse=self.descending
                    )
        return scores[:, :k], rows[:, :k]


class Docids:
    """The lines of a ``docid`` file, held as bytes: a tenth of the memory of a list of strings.

    OSError if the file is missing or its last line is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.text = path.read_bytes()
        self.ends = np.flatnonzero(np.frombuffer(self.text, dtype=np.uint8) == ord("\n"))
        if not self.text.endswith(b"\n"):
            raise OSError(f"{path} is cut off")

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        return self.utf8(row).decode()

    def utf8(self, row: int) -> bytes:
        """Return a docid as bytes, which sort as Lucene and Python's strings do."""
        start = self.ends[row - 1] + 1 if row else 0
        return self.text[start : self.ends[row]]
