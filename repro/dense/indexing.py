"""FAISS indexes in the layout that ``pyserini.search.faiss`` reads: a folder with ``index`` and ``docid``.

``flat`` (IndexFlatIP) and ``float16`` (IndexScalarQuantizer, QT_fp16) are a header and the vectors, so they
are written shard by shard and never held in memory; the bytes are those that ``faiss.write_index`` would
write. A ``flat`` one of embeddings that lie in that layout already (``formats/flat_vectors``) is a second
name of their files: the vectors are on the disk once. ``hnsw`` (IndexHNSWFlat) is a graph that FAISS builds
in memory: 4 x dimensions + 264 bytes a document.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.base.errors import InputError
from repro.base.files import link_or_copy
from repro.base.progress import track
from repro.formats.embeddings import read_embeddings
from repro.formats.flat_vectors import ROWS, flat_files, flat_shape

if TYPE_CHECKING:
    import faiss

HNSW_NEIGHBOURS = 32
HNSW_BUILD_CANDIDATES = 200
"""M and efConstruction, of the size that the literature uses for collections of millions."""


def build_index(embeddings: Path, index: Path, kind: str, threads: int, documents: int) -> dict[str, int]:
    """Write ``index/index`` and ``index/docid`` from a folder of embeddings; return the counts.

    InputError, before anything is written, if the folder holds another number than ``documents``.
    """
    import faiss

    faiss.omp_set_num_threads(threads)
    linked = kind == "flat" and flat_files(embeddings)[0].exists()
    sizes = [flat_shape(embeddings)] if linked else [v.shape for _, v in read_embeddings(embeddings)]
    if (found := sum(rows for rows, _ in sizes)) != documents:
        raise InputError(
            f"{embeddings} holds {found:,} of {documents:,} documents; was the folder changed? encode it "
            "again with python -m repro.encode --force"
        )
    if linked:
        for path in flat_files(embeddings):
            link_or_copy(path, index / path.name)
        return {"documents": documents, "empty": 0}
    dimensions = sizes[0][1]
    target = _graph(dimensions) if kind == "hnsw" else VectorFile(index / "index", empty(kind, dimensions))
    with open(index / "docid", "w", encoding="utf-8", newline="\n") as docids:
        for ids, vectors in track(read_embeddings(embeddings), len(sizes), "indexing", "shards"):
            for start in range(0, len(vectors), ROWS):
                target.add(np.array(vectors[start : start + ROWS]))  # where FAISS may read it
            docids.writelines(f"{docid}\n" for docid in ids)
        docids.flush()
        os.fsync(docids.fileno())
    if isinstance(target, VectorFile):
        target.close()
    else:
        faiss.write_index(target, str(index / "index"))
    return {"documents": documents, "empty": 0}


def empty(kind: str, dimensions: int) -> faiss.Index:
    """Return an empty FAISS index over inner products, ``flat`` or ``float16``."""
    import faiss

    if kind == "flat":
        return faiss.IndexFlatIP(dimensions)
    return faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def header(kind: str, dimensions: int) -> bytes:
    """Return what FAISS writes of an empty index: its vectors would follow.

    The number of vectors stands at byte 8; the last 8 bytes are the size of the vectors, in floats (flat) or
    bytes (float16).
    """
    import faiss

    return faiss.serialize_index(empty(kind, dimensions)).tobytes()


class VectorFile:
    """A FAISS index file that is written as vectors arrive."""

    def __init__(self, path: Path, index: faiss.Index) -> None:
        """Begin the file of an empty ``flat`` or ``float16`` index."""
        import faiss

        self.index = index
        self.flat = isinstance(index, faiss.IndexFlat)
        self.header = faiss.serialize_index(index).tobytes()
        self.vectors = self.numbers = 0
        self.file = open(path, "wb")  # noqa: SIM115  (closed by close)
        self.file.write(self.header)

    def add(self, vectors: np.ndarray) -> None:
        """Append vectors (float32, documents x dimensions)."""
        stored = vectors if self.flat else self.index.sa_encode(vectors)  # FAISS rounds in its own way
        self.file.write(stored.tobytes())
        self.vectors += len(vectors)
        self.numbers += stored.size if self.flat else stored.nbytes

    def close(self) -> None:
        """Enter the counts into the header and close the file."""
        for position, count in ((8, self.vectors), (len(self.header) - 8, self.numbers)):
            self.file.seek(position)
            self.file.write(count.to_bytes(8, "little"))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


def _graph(dimensions: int) -> faiss.IndexHNSWFlat:
    import faiss

    graph = faiss.IndexHNSWFlat(dimensions, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = HNSW_BUILD_CANDIDATES
    return graph
