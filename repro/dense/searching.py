"""Search FAISS indexes by inner product, whatever their size.

The vectors of ``flat`` and ``float16`` indexes are read from the disk a block at a time, multiplied with all queries by FAISS, and
each query's best kept: the ranking of ``IndexFlatIP.search``, in the memory of two blocks (256 MB each), the hits (24 bytes x k x 4,096
queries at most) and the docids. ``hnsw`` is loaded whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import bar
from repro.dense.indexing import header
from repro.formats.embeddings import read_embeddings

BLOCK_BYTES = 2**28
QUERIES = 4096
"""Queries that share one pass over the vectors."""

HNSW_SEARCH_CANDIDATES = 2
"""efSearch, as a multiple of k: recall falls steeply below."""


class DenseSearcher:
    """An open FAISS index of any of the three kinds; raises InputError if the folder is none."""

    def __init__(self, index: Path, threads: int) -> None:
        """Open ``index/index`` and ``index/docid``."""
        import faiss

        faiss.omp_set_num_threads(threads)
        try:
            self.docids = Docids(index / "docid")
            self.vectors, self.graph = open_vectors(index / "index"), None
            if self.vectors is None:
                self.graph = faiss.read_index(str(index / "index"))
        except (OSError, RuntimeError):
            raise InputError(
                f"{index} is no FAISS index (files 'index' and 'docid'); build one with python -m repro.index"
            ) from None

    def search_all(self, queries: Path, k: int) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield (query id, {docid: inner product}) for each query of a folder of embeddings, in order."""
        k = min(k, len(self.docids))
        for ids, vectors in read_embeddings(queries):
            for start in range(0, len(ids), QUERIES):
                scores, rows = self.search(np.ascontiguousarray(vectors[start : start + QUERIES]), k)
                for query, values, found in zip(ids[start : start + QUERIES], scores, rows):
                    yield query, {self.docids[row]: float(s) for row, s in zip(found, values) if row >= 0}

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and rows (both queries x k, best first; row -1 where fewer were found)."""
        import faiss

        if self.graph is not None:
            parameters = faiss.SearchParametersHNSW(efSearch=HNSW_SEARCH_CANDIDATES * k)
            return self.graph.search(queries, k, params=parameters)
        best = faiss.ResultHeap(len(queries), k, keep_max=True)
        with bar(self.vectors.shape[0], "multiplying", "vectors") as progress:
            for start, block in self.vectors.blocks():
                found = faiss.knn(queries, block, min(k, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
                best.add_result(found[0], found[1] + start)
                progress.update(len(block))
        best.finalize()
        return best.D, best.I


class Docids:
    """The lines of a ``docid`` file, held as bytes: a tenth of the memory of a list of strings."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_bytes()
        self.ends = np.flatnonzero(np.frombuffer(self.text, dtype=np.uint8) == ord("\n"))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        start = self.ends[row - 1] + 1 if row else 0
        return self.text[start : self.ends[row]].decode()


@dataclass(frozen=True)
class VectorsOnDisk:
    """The vectors of a ``flat`` or ``float16`` index file. They are read, not mapped: mapped pages would count as memory."""

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
    """Return the vectors of a ``flat`` or ``float16`` index file; None if it is of another kind."""
    with open(path, "rb") as file:
        begin = file.read(16)
        dimensions, vectors = (int.from_bytes(begin[a:b], "little") for a, b in ((4, 8), (8, 16)))
        if begin[:4] not in (b"IxFI", b"IxSQ") or dimensions == 0:
            return None
        for kind, dtype in (("flat", np.float32), ("float16", np.float16)):
            expected = header(kind, dimensions)
            file.seek(0)
            found = file.read(len(expected))
            if found[:8] == expected[:8] and found[16:-8] == expected[16:-8]:
                return VectorsOnDisk(path, dtype, len(expected), (vectors, dimensions))
    return None
