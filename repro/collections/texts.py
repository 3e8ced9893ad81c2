"""The texts of a corpus on disk, found by document id: for work that needs most of them in any order."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np

from repro.collections.model import Document

CHUNK = 100_000


class TextStore(Mapping[str, str]):
    """Document id -> text, the texts in the file ``path``; memory is the ids' bytes and 16 bytes a document.

    Made by writing ``documents`` once; the file goes with ``close``, or at the end of a ``with`` block.
    """

    def __init__(self, path: Path, documents: Iterable[Document]) -> None:
        ids: list[np.ndarray] = []
        ends = [np.zeros(1, np.int64)]
        chunk: list[tuple[bytes, int]] = []
        end = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with open(path, "wb") as file:
            for document in documents:
                end += file.write(document.text.encode())
                chunk.append((document.id.encode(), end))
                if len(chunk) == CHUNK:
                    _flush(chunk, ids, ends)
        _flush(chunk, ids, ends)
        unsorted, self.ends = np.concatenate(ids), np.concatenate(ends)
        self.order = np.argsort(unsorted, kind="stable")
        self.ids = unsorted[self.order]
        self.file = os.open(path, os.O_RDONLY)

    def __getitem__(self, docid: str) -> str:
        place = self._place(docid)
        start, end = self.ends[place : place + 2]
        return os.pread(self.file, int(end - start), int(start)).decode()

    def __contains__(self, docid: object) -> bool:
        try:
            return isinstance(docid, str) and self._place(docid) >= 0
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        return (docid.decode() for docid in self.ids.tolist())

    def __len__(self) -> int:
        return len(self.ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        os.close(self.file)
        self.path.unlink()

    def _place(self, docid: str) -> int:
        key = docid.encode()
        found = int(np.searchsorted(self.ids, key))
        if found == len(self.ids) or self.ids[found] != key:
            raise KeyError(docid)
        return int(self.order[found])


def _flush(chunk: list[tuple[bytes, int]], ids: list[np.ndarray], ends: list[np.ndarray]) -> None:
    """Move a chunk of (id, end) pairs to arrays, which take a tenth of the memory."""
    ids.append(np.array([docid for docid, _ in chunk], dtype=np.bytes_))
    ends.append(np.array([end for _, end in chunk], dtype=np.int64))
    chunk.clear()
