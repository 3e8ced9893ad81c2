"""Folders of embeddings: shards, each with files of its own (``part-00000.npy`` and ``.ids``), or one file.

Teachers' vectors are kept in shards, and ``python -m repro.encode`` wrote them before it wrote one file
(``flat_vectors``). Both are read.
"""

import tokenize
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from repro.base.errors import InputError
from repro.formats.flat_vectors import Batch, flat_files, read_flat

DAMAGED = (OSError, ValueError, EOFError, TypeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile)
"""What NumPy raises for files that are no arrays; it reads their headers as Python."""


def shard_files(folder: Path, number: int) -> list[Path]:
    """Return where the vectors and the ids of shard ``number`` lie."""
    return [folder / f"part-{number:05d}.npy", folder / f"part-{number:05d}.ids"]


def write_embeddings(folder: Path, number: int, ids: list[str], vectors: np.ndarray) -> None:
    """Write one shard of embeddings (float32, texts x dimensions) with the ids of its rows."""
    write_batches(folder, number, [(ids, vectors)])


def write_batches(folder: Path, number: int, batches: Iterable[Batch]) -> tuple[int, int]:
    """Write one shard of embeddings, a batch at a time as they come; return its texts and dimensions.

    The file is what NumPy's ``save`` would write of all of them, which never are in memory. ValueError if
    there is no batch.
    """
    vectors_file, ids_file = shard_files(folder, number)
    shape = (0, 0)
    with open(vectors_file, "wb") as file, open(ids_file, "w", encoding="utf-8", newline="\n") as names:
        for ids, vectors in batches:
            batch = np.ascontiguousarray(vectors, np.float32)
            shape = (shape[0] + len(batch), batch.shape[1])
            if file.tell() == 0:
                _write_header(file, shape)
            file.write(batch.data)
            names.writelines(f"{i}\n" for i in ids)
        if not shape[1]:
            raise ValueError("expected at least one batch of embeddings")
        file.seek(0)
        _write_header(file, shape)  # as long as before: NumPy leaves blanks for an axis that grows
    return shape


def _write_header(file: BinaryIO, shape: tuple[int, int]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def read_embeddings(folder: Path) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield (ids, vectors) of each shard, or of some of one file's, the vectors mapped from the disk.

    InputError if there is none, if a file is missing, cut off or no embeddings, if a shard has not one id for
    each vector, or if the shards' dimensions differ.
    """
    if any(path.exists() for path in flat_files(folder)):
        yield from read_flat(folder)
        return
    shards = sorted(folder.glob("part-*.npy"))
    if not shards:
        raise InputError(
            f"{folder} holds no embeddings (index, docid); make them with python -m repro.encode"
        )
    dimensions = None
    for path in shards:
        ids, vectors = _read_ids(path.with_suffix(".ids")), _map_vectors(path)
        if len(ids) != len(vectors):
            raise InputError(
                f"{path} holds {len(vectors):,} vectors, but {path.with_suffix('.ids').name} beside it "
                f"{len(ids):,} ids; encode it again with python -m repro.encode --force"
            )
        dimensions = dimensions or vectors.shape[1]
        if vectors.shape[1] != dimensions:
            raise InputError(
                f"{path}: vectors of {vectors.shape[1]} dimensions, and {shards[0].name} beside it has "
                f"{dimensions}; encode the folder again with python -m repro.encode --force"
            )
        yield ids, vectors


def _read_ids(path: Path) -> list[str]:
    try:
        *ids, rest = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise InputError(
            f"{path} cannot be read ({reason}); expected the ids of {path.stem}.npy, a line an id: encode it "
            "again with python -m repro.encode --force"
        ) from None
    if rest:
        raise InputError(
            f"{path} is cut off after {len(ids):,} lines; encode it again with python -m repro.encode --force"
        )
    return ids


def _map_vectors(path: Path) -> np.ndarray:
    try:
        vectors = np.load(path, mmap_mode="r")
    except DAMAGED:
        vectors = None
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype != np.float32:
        raise InputError(
            f"{path} is cut off or no shard of embeddings (float32, documents x dimensions); encode it again "
            "with python -m repro.encode --force"
        )
    return vectors
