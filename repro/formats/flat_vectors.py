"""Embeddings in one file that grows shard by shard, as ``python -m repro.encode`` writes them.

    index     what FAISS writes of an IndexFlatIP: 45 bytes, then the vectors (float32, texts x dimensions)
    docid     their ids, a line each

It is the layout of ``pyserini.encode --to-faiss``: a folder of embeddings is a flat index as it lies, and one
that is asked for is a second name of the same files. The header is written without FAISS, since torch, which
encodes, and FAISS never share a process.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from repro.base.errors import InputError

Batch = tuple[list[str], np.ndarray]
"""Ids, and a float32 row of ``texts x dimensions`` for each."""

HEADER = struct.Struct("<4siqqq?iQ")
"""FAISS's name of the kind, dimensions, vectors, two unused, trained, metric, numbers that follow."""
KIND, UNUSED, INNER_PRODUCT = b"IxFI", 1 << 20, 0
LARGEST_DIMENSION = 2**20
"""Of more, a file that begins like an index is taken for damaged."""
FLOAT = 4
ROWS = 65_536
"""Vectors that are mapped at a time, so that they count as memory by so many only."""
BLOCK = 1 << 20

AGAIN = "encode it again with python -m repro.encode --force"


def flat_files(folder: Path) -> list[Path]:
    """Return where the vectors and their ids lie."""
    return [folder / "index", folder / "docid"]


def flat_header(vectors: int, dimensions: int) -> bytes:
    """Return how FAISS begins the file of an IndexFlatIP; little-endian, as FAISS is everywhere it runs."""
    numbers = vectors * dimensions
    return HEADER.pack(KIND, dimensions, vectors, UNUSED, UNUSED, True, INNER_PRODUCT, numbers)


def append_batches(folder: Path, batches: Iterable[Batch]) -> tuple[int, int]:
    """Write one shard of embeddings behind those that are there, a batch at a time as they come; return its
    texts and dimensions.

    ValueError if there is no batch, or if the dimensions are not those of the vectors before.
    """
    index, docid = flat_files(folder)
    index.touch()
    texts, dimensions = 0, 0
    with open(index, "r+b") as file, open(docid, "a", encoding="utf-8", newline="\n") as names:
        before, expected = _shape(file.read(HEADER.size)) or (0, 0)
        file.seek(0, os.SEEK_END)
        for ids, vectors in batches:
            batch = np.array(vectors, np.float32, order="C")
            dimensions = batch.shape[1]
            if expected and dimensions != expected:
                raise ValueError(f"{index}: vectors of {dimensions} dimensions behind those of {expected}")
            if file.tell() == 0:
                file.write(flat_header(0, dimensions))
            expected, texts = dimensions, texts + len(batch)
            file.write(batch.data)
            names.writelines(f"{i}\n" for i in ids)
        if not dimensions:
            raise ValueError("expected at least one batch of embeddings")
        file.seek(0)
        file.write(flat_header(before + texts, dimensions))
    return texts, dimensions


def keep(folder: Path, texts: int) -> bool:
    """Cut off what lies behind the first ``texts`` vectors and ids; tell whether so many are there."""
    index, docid = flat_files(folder)
    with open(index, "r+b") as file, open(docid, "r+b") as names:
        shape, end = _shape(file.read(HEADER.size)), _end_of_line(docid, texts)
        size = HEADER.size + texts * shape[1] * FLOAT if shape else 0
        if shape is None or end is None or index.stat().st_size < size:
            return False
        names.truncate(end)
        file.truncate(size)
        file.seek(0)
        file.write(flat_header(texts, shape[1]))
    return True


def flat_shape(folder: Path) -> tuple[int, int]:
    """Return the vectors and dimensions of a folder; InputError if it is damaged, or ids are missing."""
    index, docid = flat_files(folder)
    try:
        with open(index, "rb") as file:
            shape, size = _shape(file.read(HEADER.size)), os.fstat(file.fileno()).st_size
        with open(docid, "rb") as file:
            ids = sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
            file.seek(max(0, file.tell() - 1))
            whole = file.read(1) == b"\n"
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}); expected vectors and their ids: {AGAIN}"
        ) from None
    if shape is None or size != HEADER.size + shape[0] * shape[1] * FLOAT:
        raise InputError(f"{index} is cut off or holds no embeddings (FAISS's IndexFlatIP); {AGAIN}")
    if not whole:
        raise InputError(f"{docid} is cut off after {ids:,} lines; {AGAIN}")
    if ids != shape[0]:
        raise InputError(
            f"{index} holds {shape[0]:,} vectors, but {docid.name} beside it {ids:,} ids; {AGAIN}"
        )
    return shape


def read_flat(folder: Path) -> Iterator[Batch]:
    """Yield (ids, vectors) of ROWS texts at a time, the vectors mapped from the disk.

    A mapped number may begin at any byte, since 45 stand before the first: NumPy minds, compiled code wants a
    copy. InputError as ``flat_shape`` raises it, or for ids that are no UTF-8.
    """
    vectors, dimensions = flat_shape(folder)
    index, docid = flat_files(folder)
    with open(docid, "rb") as names:
        for start in range(0, vectors, ROWS):
            shape = min(ROWS, vectors - start), dimensions
            offset = HEADER.size + start * dimensions * FLOAT
            lines = [names.readline()[:-1] for _ in range(shape[0])]
            try:
                ids = [line.decode() for line in lines]
            except UnicodeDecodeError:
                raise InputError(f"{docid} is no UTF-8 text; {AGAIN}") from None
            yield ids, np.memmap(index, "<f4", mode="r", offset=offset, shape=shape)


def _shape(begin: bytes) -> tuple[int, int] | None:
    """Return the vectors and dimensions that a header tells; None if it is none of an IndexFlatIP."""
    if len(begin) < HEADER.size:
        return None
    _, dimensions, vectors, *_ = HEADER.unpack(begin)
    if not 0 < dimensions <= LARGEST_DIMENSION or not 0 <= vectors < 2**40:
        return None
    known = flat_header(vectors, dimensions)
    # all but the two numbers that are of no use to anybody
    return (vectors, dimensions) if begin[:16] + begin[32:] == known[:16] + known[32:] else None


def _end_of_line(path: Path, line: int) -> int | None:
    """Return where line number ``line`` (from 1) ends, 0 for line 0; None if there are fewer."""
    place = lines = 0
    with open(path, "rb") as file:
        while lines < line and (block := file.read(BLOCK)):
            count = block.count(b"\n")
            if lines + count < line:
                lines, place = lines + count, place + len(block)
                continue
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            return place + int(ends[line - lines - 1]) + 1
    return place if lines >= line else None
