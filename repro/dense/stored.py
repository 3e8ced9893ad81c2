"""What is in an index file: vectors read from the disk a block at a time, or a graph that is loaded whole.

The products of a matrix multiplication depend in their last bits on where a vector stands, and equal vectors
would not tie; hence each hit's product is computed again by a function of the two vectors alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.base.progress import bar
from repro.dense.indexing import header

if TYPE_CHECKING:
    import faiss

BLOCK_BYTES = 2**28
LARGEST_DIMENSION = 2**20
"""Of more, a file that begins like an index is taken for damaged."""

HNSW_SEARCH_CANDIDATES = 2
"""efSearch, as a multiple of k: recall falls steeply below."""

Hits = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores and rows (queries x hits, best first, row -1 for none), and for each query whether these are
enough."""


@dataclass(frozen=True)
class VectorsOnDisk:
    """The vectors of a ``flat`` or ``float16`` index file; ``shape`` is vectors x dimensions.

    They are read, not mapped: mapped pages count as memory.
    """

    path: Path
    dtype: type[np.floating]
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
                block: np.ndarray = np.fromfile(file, self.dtype, count * dimensions)
                yield start, block.reshape(count, dimensions).astype(np.float32, copy=False)

    def search(self, queries: np.ndarray, k: int, size: int) -> Hits:
        """Return the best ``size`` of all vectors, and for which queries all that tie with the k-th are among
        them.

        A matrix product in float32 and ``inner_products`` err by at most d 2^-24 |q| |v| each, in whatever
        order they add (Higham, Accuracy and Stability, section 3.1): what a block leaves out cannot be better
        than its last product by more than twice that.
        """
        import faiss

        best = faiss.ResultHeap(len(queries), size, keep_max=True)
        left_out, longest = np.full(len(queries), -np.inf), 0.0
        with bar(self.shape[0], "multiplying", "vectors") as progress:
            for start, block in self.blocks():
                count = min(size, len(block))
                products, rows = faiss.knn(queries, block, count, metric=faiss.METRIC_INNER_PRODUCT)
                if count < len(block):
                    left_out = np.maximum(left_out, products[:, -1])
                best.add_result(inner_products(queries, block, rows), rows + start)
                longest = max(longest, float(np.einsum("ij,ij->i", block, block).max()) ** 0.5)
                progress.update(len(block))
        best.finalize()
        if size == self.shape[0]:
            return best.D, best.I, np.ones(len(queries), bool)
        error = 1.01 * self.shape[1] * 2**-23 * longest * np.linalg.norm(queries, axis=1)
        return best.D, best.I, best.D[:, k - 1] > np.maximum(left_out + error, best.D[:, -1])


class Graph:
    """An ``hnsw`` index in memory; ``shape`` is vectors x dimensions."""

    def __init__(self, graph: faiss.IndexHNSWFlat) -> None:
        self.graph, self.shape = graph, (graph.ntotal, graph.d)

    def search(self, queries: np.ndarray, k: int, size: int) -> Hits:
        """Return up to ``size`` vectors, 2k at most, as near as the graph comes to the best; they are all it
        finds.
        """
        import faiss

        parameters = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]  # faiss's stubs lack it
            efSearch=HNSW_SEARCH_CANDIDATES * k
        )
        _, rows = self.graph.search(queries, min(size, 2 * k), params=parameters)
        stored = faiss.downcast_index(self.graph.storage)
        first = stored.get_xb()  # type: ignore[attr-defined]  # faiss's stubs lack it
        vectors = faiss.rev_swig_ptr(first, stored.ntotal * stored.d).reshape(self.shape)
        scores = inner_products(queries, vectors, rows)
        order = np.argsort(-scores, axis=1, kind="stable")
        found = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        return *found, np.ones(len(queries), bool)


def inner_products(queries: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return each query's inner products with the vectors of its rows, -inf for row -1 (float32, queries x
    rows).

    A product depends on its two vectors alone, not on their places or on other queries.
    """
    import faiss

    queries, vectors = np.ascontiguousarray(queries), np.ascontiguousarray(vectors)
    rows, products = np.ascontiguousarray(rows, dtype=np.int64), np.empty(rows.shape, np.float32)
    places = map(faiss.swig_ptr, (products, queries, vectors, rows))
    faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]  # faiss's stubs lack it
        *places, vectors.shape[1], *rows.shape
    )
    return products


def open_index(path: Path) -> VectorsOnDisk | Graph:
    """Open an index file of any kind; OSError, RuntimeError or MemoryError if it is none, or not whole.

    MemoryError, since FAISS takes any number in a file for a size.
    """
    return open_vectors(path) or open_graph(path)


def open_vectors(path: Path) -> VectorsOnDisk | None:
    """Return the vectors of a ``flat`` or ``float16`` index file; None if it is of another kind.

    OSError if the file ends before its last vector, or goes on behind it.
    """
    with open(path, "rb") as file:
        begin = file.read(16)
        dimensions, vectors = (int.from_bytes(begin[a:b], "little") for a, b in ((4, 8), (8, 16)))
        if begin[:4] not in (b"IxFI", b"IxSQ") or not 0 < dimensions <= LARGEST_DIMENSION:
            return None
        dtypes: dict[str, type[np.floating]] = {"flat": np.float32, "float16": np.float16}
        for kind, dtype in dtypes.items():
            expected = header(kind, dimensions)
            file.seek(0)
            found = file.read(len(expected))
            if found[:8] == expected[:8] and found[16:-8] == expected[16:-8]:
                size = len(expected) + vectors * dimensions * np.dtype(dtype).itemsize
                if path.stat().st_size != size:
                    raise OSError(f"{path} has {path.stat().st_size} bytes; its header promises {size}")
                return VectorsOnDisk(path, dtype, len(expected), (vectors, dimensions))
    return None


def open_graph(path: Path) -> Graph:
    """Load an ``hnsw`` index; OSError or RuntimeError if the file is none over inner products."""
    import faiss

    graph = faiss.read_index(str(path))
    if not isinstance(graph, faiss.IndexHNSWFlat) or graph.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise OSError(f"{path} is of another kind ({type(graph).__name__})")
    return Graph(graph)
