"""What a teacher has computed of texts, kept on the disk: computed once, however often it is asked for.

    <work>/teachers/<teacher>/<kind>-<digest>/piece-<name>/   part-00000.npy (float32, texts x values)
                                                              part-00000.ids (a key for each)

The digest is of the teacher's weights and settings, so that a model that has changed begins anew; a key is of
a text (or of a query and a passage). A piece is flushed before it gets its name: a killed process loses the
one that it was computing. Memory is 24 bytes a text; values are mapped from the disk.
"""

import base64
import contextlib
import hashlib
import os
import shutil
import statistics
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from repro.base.errors import InputError
from repro.base.files import canonical, flush, link_or_copy, remove
from repro.base.locks import locked
from repro.base.progress import bar, note
from repro.cli.share_options import Share
from repro.formats.embeddings import read_embeddings, write_embeddings

PIECE = 1024
"""Texts in a piece."""
CALL = 128
"""Texts that are computed between two moves of the progress bar."""
KEY = np.dtype("S16")

T = TypeVar("T")
Texts = tuple[str, ...]


class MappedRows:
    """Arrays of rows (float32), mapped from the disk, as if they were one array."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.starts: list[int] = []
        self.rows = 0

    def append(self, array: np.ndarray) -> None:
        """Add an array's rows behind the others."""
        self.arrays.append(array)
        self.starts.append(self.rows)
        self.rows += len(array)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers (float32, numbers x values)."""
        taken = np.empty((len(rows), self.arrays[0].shape[1]), np.float32)
        owners = np.searchsorted(self.starts, rows, side="right") - 1
        for owner in np.unique(owners):
            mine = owners == owner
            taken[mine] = self.arrays[owner][rows[mine] - self.starts[owner]]
        return taken


class TeacherStore:
    """The pieces of one folder, which ``open_store`` opens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = MappedRows()
        self.keys, self.rows = np.empty(0, KEY), np.empty(0, np.int64)
        self.unsorted: list[np.ndarray] = []
        pieces = {path: found for path in sorted(folder.glob("piece-*")) if (found := _read(path))}
        widths = [values.shape[1] for _, values in pieces.values()]
        for path, (keys, values) in pieces.items():
            if values.shape[1] == statistics.mode(widths):
                self._add(keys, values)
            else:
                _remove(path, f"{path} has values of another number than most beside it")

    def complete(
        self,
        items: Sequence[T],
        texts: Callable[[T], Texts],
        compute: Callable[[list[T]], np.ndarray],
        task: str,
        unit: str,
        share: Share | None = None,
    ) -> None:
        """Have ``compute`` make the values (float32, items x values) of those ``items`` that are not here.

        With ``share``, only of those that are this one's: of n, the i-th call and each n-th after it, of the
        calls that one process would make, so that a text is computed beside the same others.

        ``texts`` returns what an item stands for. Long ones come first and like lengths together, so that
        little is padded, and the time that is left is not underestimated.
        """
        kind = np.dtype([("key", KEY), ("length", np.int64)])
        made = (_key_and_length(texts(item)) for item in items)
        found = np.fromiter(made, kind, len(items))
        _, first = np.unique(found["key"], return_index=True)
        if share:
            longest_first = first[np.lexsort((first, -found["length"][first]))]
            own = list(_parts(longest_first, CALL))[share.number - 1 :: share.of]
            first = np.concatenate(own) if own else first[:0]
        missing = first[self._find(found["key"][first]) < 0]
        missing = missing[np.lexsort((missing, -found["length"][missing]))]
        if len(missing) < len(first):
            note(f"{len(first) - len(missing):,} of {len(first):,} {unit} are known from {self.folder}")
        with bar(len(missing), task, unit) as progress:
            for piece in _parts(missing, PIECE):
                values = []
                for call in _parts(piece, CALL):
                    values.append(compute([items[place] for place in call]))
                    progress.update(len(call))
                self._append(found["key"][piece], np.concatenate(values))

    def get(self, texts: Iterable[Texts]) -> np.ndarray:
        """Return the values of texts that are here (float32, texts x values)."""
        keys = np.array([_key_and_length(each)[0] for each in texts], KEY)
        rows = self._find(keys)
        if len(rows) and rows.min() < 0:
            raise KeyError(f"{self.folder} lacks a text that was not completed")
        return self.values.take(rows)

    def _find(self, keys: np.ndarray) -> np.ndarray:
        """Return the row of each key, -1 where there is none."""
        if self.unsorted:
            unsorted = np.concatenate([self.keys, *self.unsorted])
            rows = np.concatenate([self.rows, np.arange(len(self.rows), len(unsorted))])
            order = np.argsort(unsorted, kind="stable")
            self.keys, self.rows, self.unsorted = unsorted[order], rows[order], []
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.rows[places], -1)

    def _append(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Write a piece."""
        name = uuid.uuid4().hex
        partial, piece = self.folder / f"partial-{name}", self.folder / f"piece-{name}"
        partial.mkdir()
        write_embeddings(partial, 0, [key.decode() for key in keys.tolist()], values)
        flush(partial)
        os.replace(partial, piece)
        flush(self.folder, below=False)
        ((written, mapped),) = read_embeddings(piece)
        self._add(written, mapped)

    def _add(self, keys: list[str], values: np.ndarray) -> None:
        self.values.append(values)
        self.unsorted.append(np.array(keys, KEY))


def _read(piece: Path) -> tuple[list[str], np.ndarray] | None:
    """Map a piece; None for one that is damaged, which is removed."""
    try:
        ((keys, values),) = read_embeddings(piece)
    except (InputError, ValueError) as error:  # ValueError: of several parts
        _remove(piece, str(error))
        return None
    return keys, values


def _remove(piece: Path, reason: str) -> None:
    note(f"{reason}; it is left out and made again")
    shutil.rmtree(piece, ignore_errors=True)  # another process may be about to do the same


@contextlib.contextmanager
def open_store(folder: Path, others: Sequence[Path] = ()) -> Iterator[TeacherStore]:
    """Open the store in ``folder``, which several processes may use at a time; each sees what was there when
    it opened it, and what it takes over from ``others``, stores of the same kind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock")
    with contextlib.suppress(InputError), locked(lock, wait=False):  # else another process uses it
        for left in folder.glob("partial-*"):
            remove(left)
    with locked(lock, shared=True):
        for other in others:
            _take_over(other, folder)
        yield TeacherStore(folder)


def _take_over(other: Path, folder: Path) -> None:
    """Have the pieces of another store in ``folder``, too."""
    for piece in sorted(other.glob("piece-*")):
        if (folder / piece.name).exists():
            continue
        partial = folder / f"partial-{uuid.uuid4().hex}"
        partial.mkdir()
        for path in sorted(piece.iterdir()):
            link_or_copy(path, partial / path.name)
        flush(partial)
        try:
            os.replace(partial, folder / piece.name)
        except OSError:
            remove(partial)
            if not (folder / piece.name).exists():  # else another process has taken it over meanwhile
                raise
    flush(folder, below=False)


def _key_and_length(texts: Texts) -> tuple[bytes, int]:
    """Return 96 bits of a SHA-256 in 16 characters, none of which is a NUL (NumPy drops those at the end)."""
    digest = hashlib.sha256(canonical(texts).encode()).digest()
    return base64.b64encode(digest[:12]), sum(map(len, texts))


def _parts(places: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (places[start : start + size] for start in range(0, len(places), size))
