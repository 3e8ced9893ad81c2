"""Vectors as NumPy's arrays, written as they come: a sparse matrix in rows (CSR), or a dense one.

data.npy, indices.npy, indptr.npy    impacts (int32), the terms' ids (int32), where each row begins (int64)
vectors.npy                          float32, texts x dimensions
ids.txt, terms.txt                   the id of each row, the term of each column, a line each
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.base.files import write_array
from repro.formats.embeddings import read_embeddings
from repro.formats.impact_vectors import ImpactVector
from repro.models.router import documents_folder


def vocabulary(of: SystemArtifacts) -> dict[str, int]:
    """Return the id of each term of the system's model."""
    from transformers import AutoTokenizer

    if of.weights is None:
        raise ValueError(f"{of.system.name} has no vocabulary")
    folder = documents_folder(of.weights.path)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False).get_vocab()


def write_impact_arrays(
    vectors: Iterable[ImpactVector], folder: Path, texts: int, postings: int, ids: dict[str, int]
) -> None:
    """Write ``texts`` vectors with ``postings`` impacts in all; InputError if there are others."""
    with ExitStack() as stack:
        data = _begin(stack, folder / "data.npy", np.dtype("<i4"), (postings,))
        indices = _begin(stack, folder / "indices.npy", np.dtype("<i4"), (postings,))
        rows = stack.enter_context(open(folder / "ids.txt", "w", encoding="utf-8", newline="\n"))
        starts = np.zeros(texts + 1, np.int64)
        count = 0
        for count, (docid, _, vector) in enumerate(vectors, start=1):
            entries = sorted((ids[term], impact) for term, impact in vector.items())
            columns, impacts = np.array(entries, "<i4").reshape(-1, 2).T
            indices.write(columns.tobytes())
            data.write(impacts.tobytes())
            rows.write(docid + "\n")
            if count <= texts:
                starts[count] = starts[count - 1] + len(vector)
    if count != texts or starts[-1] != postings:
        raise InputError(
            f"{folder}: expected {texts:,} vectors with {postings:,} impacts, as was counted when they were "
            "encoded; encode them again with python -m repro.encode --force"
        )
    write_array(folder / "indptr.npy", starts)
    terms = [""] * (max(ids.values()) + 1)  # an id without a term keeps the others in their places
    for term, number in ids.items():
        terms[number] = term
    (folder / "terms.txt").write_text("".join(f"{term}\n" for term in terms), encoding="utf-8", newline="\n")


def write_embeddings_arrays(encoded: Path, folder: Path, texts: int, dimensions: int) -> None:
    """Write a folder of embeddings, ``texts`` of them, as one array; InputError if there are others."""
    count = 0
    with ExitStack() as stack:
        data = _begin(stack, folder / "vectors.npy", np.dtype("<f4"), (texts, dimensions))
        rows = stack.enter_context(open(folder / "ids.txt", "w", encoding="utf-8", newline="\n"))
        for ids, vectors in read_embeddings(encoded):
            data.write(np.array(vectors, order="C").data)
            rows.writelines(f"{docid}\n" for docid in ids)
            count += len(ids)
    if count != texts:
        raise InputError(
            f"{encoded} holds {count:,} vectors, and {texts:,} were counted when they were encoded; encode "
            "them again with python -m repro.encode --force"
        )


def _begin(stack: ExitStack, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> IO[bytes]:
    """Open an array's file and write its header; the values follow, in rows."""
    file = stack.enter_context(path.open("wb"))
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    return file
