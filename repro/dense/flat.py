"""FAISS flat indexes: exact inner products over all documents, in the layout that ``pyserini.search.faiss`` reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from repro.errors import InputError


def write_embeddings(folder: Path, number: int, ids: list[str], vectors: np.ndarray) -> None:
    """Write one shard of embeddings (float32, texts x dimensions) with the ids of its rows."""
    (folder / f"part-{number:05d}.ids").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
    np.save(folder / f"part-{number:05d}.npy", vectors.astype(np.float32, copy=False))


def read_embeddings(folder: Path) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield (ids, vectors) of each shard; InputError if there is none."""
    shards = sorted(folder.glob("part-*.npy"))
    if not shards:
        raise InputError(f"{folder} holds no embeddings (part-*.npy); make them with python -m repro.encode")
    for path in shards:
        yield path.with_suffix(".ids").read_text(encoding="utf-8").split("\n")[:-1], np.load(path)


def build_flat_index(embeddings: Path, index: Path, threads: int) -> dict:
    """Write ``index/index`` (IndexFlatIP) and ``index/docid`` from a folder of embeddings; return the count."""
    import faiss

    faiss.omp_set_num_threads(threads)
    flat = None
    with open(index / "docid", "w", encoding="utf-8") as docids:
        for ids, vectors in read_embeddings(embeddings):
            flat = flat or faiss.IndexFlatIP(vectors.shape[1])
            flat.add(vectors)
            docids.writelines(f"{docid}\n" for docid in ids)
    faiss.write_index(flat, str(index / "index"))
    return {"documents": flat.ntotal, "empty": 0}


def search_flat(index: Path, queries: Path, k: int, threads: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield (query id, {docid: inner product}) for each encoded query; InputError if ``index`` is no FAISS index."""
    import faiss

    faiss.omp_set_num_threads(threads)
    if not (index / "index").is_file() or not (index / "docid").is_file():
        raise InputError(
            f"{index} is no FAISS index (files 'index' and 'docid'); build one with python -m repro.index"
        )
    flat = faiss.read_index(str(index / "index"))
    docids = (index / "docid").read_text(encoding="utf-8").split("\n")[:-1]
    for ids, vectors in read_embeddings(queries):
        for start in range(0, len(ids), 256):
            scores, rows = flat.search(vectors[start : start + 256], min(k, flat.ntotal))
            for query, values, found in zip(ids[start : start + 256], scores, rows):
                yield query, {docids[row]: float(score) for row, score in zip(found, values)}
