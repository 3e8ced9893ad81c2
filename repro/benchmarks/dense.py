"""Dense search: FAISS's flat index in memory, and this project's flat, float16 and HNSW indexes."""

from pathlib import Path

import numpy as np

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Figures, Work
from repro.cli.options import FAISS_KINDS
from repro.formats.embeddings import read_embeddings


def contestants(indexes: dict[str, Path], queries: Path, hits: int, threads: int) -> list[Contestant]:
    """Return FAISS's own search of the flat index, which is the peer, and ours of each kind of index."""
    settings = {"queries": str(queries), "hits": hits, "threads": threads, "exact": str(indexes["flat"])}
    found = [
        Contestant(
            f"repro, {kind}",
            f"{__name__}:repro",
            {**settings, "index": str(indexes[kind])},
            ours=kind == "flat",
            rival=False,
        )
        for kind in FAISS_KINDS
    ]
    return [
        *found,
        Contestant("IndexFlatIP in memory", f"{__name__}:faiss", {**settings, "index": str(indexes["flat"])}),
    ]


def repro(queries: str, index: str, exact: str, hits: int, threads: int) -> Work:
    """This project's search of any kind of index; recall is of the exact k best."""
    from repro.dense.searching import DenseSearcher

    vectors = _vectors(queries)
    best = DenseSearcher(Path(exact), threads).search(vectors, hits)[1]
    searcher = DenseSearcher(Path(index), threads)

    def work() -> tuple[int, Figures]:
        _, rows = searcher.search(vectors, hits)
        return len(vectors), _recall(best, rows, (Path(index) / "index").stat().st_size)

    return work


def faiss(queries: str, index: str, exact: str, hits: int, threads: int) -> Work:
    """``IndexFlatIP.search``, as pyserini.search.faiss calls it."""
    import faiss as library

    library.omp_set_num_threads(threads)
    vectors, flat = _vectors(queries), library.read_index(str(Path(index) / "index"))
    best = flat.search(vectors, hits)[1]

    def work() -> tuple[int, Figures]:
        _, rows = flat.search(vectors, hits)
        return len(vectors), _recall(best, rows, (Path(index) / "index").stat().st_size)

    return work


def _vectors(queries: str) -> np.ndarray:
    return np.concatenate([np.asarray(vectors) for _, vectors in read_embeddings(Path(queries))])


def _recall(best: np.ndarray, found: np.ndarray, size: int) -> Figures:
    shared = sum(len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(best, found))
    return {"recall": round(shared / int((best >= 0).sum()), 4), "index MB": round(size / 1e6, 1)}
