"""Search FAISS indexes by inner product, whatever their size.

The vectors of ``flat`` and ``float16`` indexes are read from the disk a block at a time, multiplied with all queries by
FAISS, and each query's best kept, in the memory of two blocks (256 MB each), the hits (36 bytes x k x 4,096 queries at
most) and the docids. ``hnsw`` is loaded whole.

Documents of equal score are ordered by docid, at the cut at k as well. The products of a matrix multiplication depend in
their last bits on where a vector stands, and equal vectors would not tie; hence each hit's product is computed again by
a function of the two vectors alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import bar
from repro.dense.indexing import header
from repro.formats.embeddings import read_embeddings
from repro.formats.runs import TIES, docids_descend

if TYPE_CHECKING:
    import faiss

BLOCK_BYTES = 2**28
QUERIES = 4096
"""Queries that share one pass over the vectors, at most."""

SPARE = 64
"""Hits beyond k, among which the ties at the cut usually end."""

HITS = QUERIES * (1000 + SPARE)
"""Hits that are held at a time, unless one query has more: fewer queries share a pass where k is large."""

LARGEST_DIMENSION = 2**20
"""Of more, a file that begins like an index is taken for damaged."""

HNSW_SEARCH_CANDIDATES = 2
"""efSearch, as a multiple of k: recall falls steeply below."""


class DenseSearcher:
    """An open FAISS index of any of the three kinds; raises InputError if the folder is none, or not whole."""

    def __init__(self, index: Path, threads: int, ties: str = TIES[0]) -> None:
        """Open ``index/index`` and ``index/docid``; ``ties`` is one of ``repro.formats.runs.TIES``."""
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index, self.descending = index, docids_descend(ties)
        try:
            self.docids = Docids(index / "docid")
            self.vectors, self.graph = open_vectors(index / "index"), None
            if self.vectors is None:
                self.graph = open_graph(index / "index")
        except (OSError, RuntimeError, MemoryError):  # MemoryError: FAISS takes any number for a size
            raise InputError(
                f"{index} is no FAISS index, or not whole (files 'index' and 'docid'); build one with "
                "python -m repro.index"
            ) from None
        documents, self.dimensions = self.vectors.shape if self.vectors else (self.graph.ntotal, self.graph.d)
        if documents != len(self.docids) or documents == 0:
            raise InputError(
                f"{index} holds {documents:,} vectors and {len(self.docids):,} docids, and not as many of both; build "
                "it again with python -m repro.index --force"
            )

    def search_all(self, queries: Path, k: int) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield (query id, {docid: inner product}) for each query of a folder of embeddings, in order."""
        k = min(k, len(self.docids))
        together = max(1, min(QUERIES, HITS // (k + SPARE)))
        for ids, vectors in read_embeddings(queries):
            for start in range(0, len(ids), together):
                scores, rows = self.search(np.ascontiguousarray(vectors[start : start + together]), k)
                for query, values, found in zip(ids[start : start + together], scores, rows):
                    yield query, {self.docids[row]: float(s) for row, s in zip(found, values) if row >= 0}

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and rows of the best k for queries (float32, queries x dimensions).

        Both have a row for a query and k columns, or as many as the index has documents if these are fewer; best first,
        equal scores by docid; row -1 where a graph found fewer. InputError if the dimensions are not the index's.
        """
        if queries.shape[1] != self.dimensions:
            raise InputError(
                f"the queries have {queries.shape[1]} dimensions, and the documents of {self.index} {self.dimensions}; "
                "were they encoded by the same model?"
            )
        k = min(k, len(self.docids))
        if self.graph is not None:
            return self._ordered(*self._from_graph(queries, k), k)
        scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        pending, size = np.arange(len(queries)), k + SPARE
        while len(pending):  # again, deeper, where documents beyond those found may tie with the k-th
            size, unsure = min(size, len(self.docids)), []
            together = max(1, HITS // size)
            for part in (pending[i : i + together] for i in range(0, len(pending), together)):
                values, found, complete = self._from_vectors(queries[part], k, size)
                scores[part], rows[part] = self._ordered(values, found, k)
                unsure.append(part[~complete])
            pending, size = np.concatenate(unsure), 4 * size
        return scores, rows

    def _from_vectors(
        self, queries: np.ndarray, k: int, size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scores and rows of the best ``size``, and for which queries all that tie with the k-th are there.

        A matrix product in float32 and ``inner_products`` err by at most d 2^-24 |q| |v| each, in whatever order they
        add (Higham, Accuracy and Stability, section 3.1): what a block leaves out cannot be better than its last
        product by more than twice that.
        """
        import faiss

        best = faiss.ResultHeap(len(queries), size, keep_max=True)
        left_out, longest = np.full(len(queries), -np.inf), 0.0
        with bar(self.vectors.shape[0], "multiplying", "vectors") as progress:
            for start, block in self.vectors.blocks():
                count = min(size, len(block))
                products, rows = faiss.knn(queries, block, count, metric=faiss.METRIC_INNER_PRODUCT)
                if count < len(block):
                    left_out = np.maximum(left_out, products[:, -1])
                best.add_result(inner_products(queries, block, rows), rows + start)
                longest = max(longest, float(np.einsum("ij,ij->i", block, block).max()) ** 0.5)
                progress.update(len(block))
        best.finalize()
        if size == len(self.docids):
            return best.D, best.I, np.ones(len(queries), bool)
        error = 1.01 * self.dimensions * 2**-23 * longest * np.linalg.norm(queries, axis=1)
        return best.D, best.I, best.D[:, k - 1] > np.maximum(left_out + error, best.D[:, -1])

    def _from_graph(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and rows of up to 2k documents, best first, as near as the graph comes to them."""
        import faiss

        parameters = faiss.SearchParametersHNSW(efSearch=HNSW_SEARCH_CANDIDATES * k)
        size = min(k + min(k, SPARE), len(self.docids))
        _, rows = self.graph.search(queries, size, params=parameters)
        stored = faiss.downcast_index(self.graph.storage)
        vectors = faiss.rev_swig_ptr(stored.get_xb(), stored.ntotal * stored.d).reshape(
            stored.ntotal, stored.d
        )
        scores = inner_products(queries, vectors, rows)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

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


def inner_products(queries: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return each query's inner products with the vectors of its rows (float32, queries x rows; row -1: -inf).

    A product depends on its two vectors alone, not on their places or on other queries.
    """
    import faiss

    queries, vectors = np.ascontiguousarray(queries), np.ascontiguousarray(vectors)
    rows, products = np.ascontiguousarray(rows, dtype=np.int64), np.empty(rows.shape, np.float32)
    places = map(faiss.swig_ptr, (products, queries, vectors, rows))
    faiss.fvec_inner_products_by_idx(*places, vectors.shape[1], *rows.shape)
    return products


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


@dataclass(frozen=True)
class VectorsOnDisk:
    """The vectors of a ``flat`` or ``float16`` index file. They are read, not mapped: mapped pages count as memory."""

    path: Path
    dtype: type
    offset: int
    shape: tuple[int, int]

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (row of the first vector, vectors as float32), in order."""
        dimensions = self.shape[1]
        rows = max(1, BLOCK_BYTES // (4 * dimensions))
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                block = np.fromfile(file, self.dtype, count * dimensions).reshape(count, dimensions)
                yield start, block.astype(np.float32, copy=False)


def open_vectors(path: Path) -> VectorsOnDisk | None:
    """Return the vectors of a ``flat`` or ``float16`` index file; None if it is of another kind.

    OSError if the file ends before its last vector, or goes on behind it.
    """
    with open(path, "rb") as file:
        begin = file.read(16)
        dimensions, vectors = (int.from_bytes(begin[a:b], "little") for a, b in ((4, 8), (8, 16)))
        if begin[:4] not in (b"IxFI", b"IxSQ") or not 0 < dimensions <= LARGEST_DIMENSION:
            return None
        for kind, dtype in (("flat", np.float32), ("float16", np.float16)):
            expected = header(kind, dimensions)
            file.seek(0)
            found = file.read(len(expected))
            if found[:8] == expected[:8] and found[16:-8] == expected[16:-8]:
                size = len(expected) + vectors * dimensions * np.dtype(dtype).itemsize
                if path.stat().st_size != size:
                    raise OSError(f"{path} has {path.stat().st_size} bytes; its header promises {size}")
                return VectorsOnDisk(path, dtype, len(expected), (vectors, dimensions))
    return None


def open_graph(path: Path) -> faiss.IndexHNSWFlat:
    """Load an ``hnsw`` index; OSError or RuntimeError if the file is none over inner products."""
    import faiss

    graph = faiss.read_index(str(path))
    if not isinstance(graph, faiss.IndexHNSWFlat) or graph.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise OSError(f"{path} is of another kind ({type(graph).__name__})")
    return graph
