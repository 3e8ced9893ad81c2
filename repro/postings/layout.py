"""Postings on the disk as the compiled search (native/search.c) reads them, mapped into memory.

A folder holds

    lists.bin       each term's postings, in one of three forms, from a multiple of 64 bytes on
    terms.json      the terms in the order of their lists
    start.npy  count.npy  largest.npy  kind.npy     of each list: where it begins in lists.bin (int64), number
                    of its postings (int64), its largest impact (uint32), its form (uint8)
    rank.npy        of each document, by number: the rank of its id among all ids in order (uint32)
    docids.bin  docid.npy       all ids in that order, as UTF-8, and where each begins (int64, one more)
    layout.json     FORMAT, and the sizes of the two .bin files

Documents have Lucene's numbers. The forms of a list, by which WINDOW documents are a window:

    ROW     a byte for each document of all windows: its impact, or 0
    LIST    windows + 1 numbers (uint32), where each window's postings begin; of each posting the document's
            place in its window (uint16); of each posting its impact (uint8)
    PAIRS   of each posting the document (uint32); of each posting its impact (uint32)

A term is a ROW if one of DENSE documents or more has it, else a LIST if it has at least as many postings as
there are windows; PAIRS, if it has fewer, or an impact beyond a byte. Numbers are little-endian.
"""

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.base.files import read_json, write_array, write_json
from repro.formats.ciff import PostingsList

FORMAT = 1
WINDOW = 4096
"""Documents of a window, as in native/search.c."""
DENSE = 8
"""From there on a row takes a byte for each document, a list 3 / 8 of one or more. With 16 in its place,
search was no faster, and postings took a quarter more of the disk."""
ALIGNMENT = 64
ROW, LIST, PAIRS = range(3)
ARRAYS = {
    "start": "<i8",
    "count": "<i8",
    "largest": "<u4",
    "kind": "|u1",
    "rank": "<u4",
    "docid": "<i8",
}
"""Arrays of a folder, and their types."""


@dataclass(frozen=True)
class Postings:
    """An open folder: ``terms`` has the number of each term's list, ``arrays`` those of ARRAYS."""

    terms: dict[str, int]
    arrays: dict[str, np.ndarray]
    lists: np.ndarray
    docids: np.ndarray

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self.arrays["rank"])

    @property
    def windows(self) -> int:
        """Number of windows."""
        return windows(self.documents)


def windows(documents: int) -> int:
    """Return the number of windows of so many documents."""
    return -(-documents // WINDOW)


def write(folder: Path, documents: int, lists: Iterable[PostingsList], docids: list[bytes]) -> int:
    """Write postings and ids, in the order of the documents' numbers; return the number of postings."""
    terms: list[str] = []
    facts: list[tuple[int, int, int, int]] = []
    with open(folder / "lists.bin", "wb") as file:
        for term, numbers, impacts in lists:
            kind, blob = _list(documents, numbers, impacts)
            terms.append(term)
            facts.append((file.tell(), len(numbers), int(impacts.max(initial=0)), kind))
            file.write(blob + bytes(-len(blob) % ALIGNMENT))
        size = file.tell()
    columns = dict(zip(("start", "count", "largest", "kind"), zip(*facts))) or dict.fromkeys(ARRAYS, ())
    for name in ("start", "count", "largest", "kind"):
        write_array(folder / f"{name}.npy", np.array(columns[name], ARRAYS[name]))
    write_json(folder / "terms.json", terms)
    ids = _write_docids(folder, docids)
    write_json(folder / "layout.json", {"format": FORMAT, "lists.bin": size, "docids.bin": ids})
    return sum(count for _, count, _, _ in facts)


def _list(documents: int, numbers: np.ndarray, impacts: np.ndarray) -> tuple[int, bytes]:
    """Return the form of a list, and the list in it."""
    count = windows(documents)
    if impacts.max(initial=0) > 255 or (len(numbers) < count and DENSE * len(numbers) < documents):
        return PAIRS, numbers.astype("<u4").tobytes() + impacts.astype("<u4").tobytes()
    if DENSE * len(numbers) >= documents:
        row = np.zeros(count * WINDOW, np.uint8)
        row[numbers] = impacts
        return ROW, row.tobytes()
    starts = np.searchsorted(numbers, np.arange(count + 1) * WINDOW).astype("<u4")
    places = (numbers % WINDOW).astype("<u2")
    return LIST, starts.tobytes() + places.tobytes() + impacts.astype("u1").tobytes()


def _write_docids(folder: Path, docids: list[bytes]) -> int:
    """Write the ids in order, and the ranks; return the size of the former."""
    order = sorted(range(len(docids)), key=docids.__getitem__)
    rank = np.empty(len(docids), ARRAYS["rank"])
    rank[order] = np.arange(len(docids), dtype=ARRAYS["rank"])
    write_array(folder / "rank.npy", rank)
    ends = np.cumsum([0, *(len(docids[number]) for number in order)], dtype=ARRAYS["docid"])
    write_array(folder / "docid.npy", ends)
    with open(folder / "docids.bin", "wb") as file:
        file.writelines(docids[number] for number in order)
    return int(ends[-1])


def read(folder: Path) -> Postings:
    """Map a folder into memory; InputError if it is damaged, or of another format."""
    try:
        layout = read_json(folder / "layout.json")
        if layout is None or layout.get("format") != FORMAT:
            raise ValueError("layout.json is missing or of another format")
        terms = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        for name, array in arrays.items():
            if array.dtype != np.dtype(ARRAYS[name]):
                raise ValueError(f"{name}.npy has another type")
        lists, docids = (_mapped(folder / name, layout[name]) for name in ("lists.bin", "docids.bin"))
        _check(terms, arrays, layout)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} holds no postings that can be read: {error}; make them again with "
            "python -m repro.index --postings --force"
        ) from error
    return Postings({term: number for number, term in enumerate(terms)}, arrays, lists, docids)


def _check(terms: object, arrays: dict[str, np.ndarray], layout: dict[str, int]) -> None:
    """Raise ValueError for numbers that compiled code would read beyond the files by."""
    start, count, kind = arrays["start"], arrays["count"], arrays["kind"]
    rank, docid = arrays["rank"], arrays["docid"]
    if (
        not isinstance(terms, list)
        or len({len(terms), len(start), len(count), len(kind), len(arrays["largest"])}) != 1
    ):
        raise ValueError("its lists do not belong together")
    if len(docid) != len(rank) + 1:
        raise ValueError("its ids do not belong together")
    documents, of = len(rank), windows(len(rank))
    size = np.select(
        [kind == ROW, kind == LIST, kind == PAIRS],
        [of * WINDOW, 4 * (of + 1) + 3 * count, 8 * count],
        layout["lists.bin"] + 1,  # no such form
    )
    if (start < 0).any() or (count < 0).any() or (start + size > layout["lists.bin"]).any():
        raise ValueError("a list goes beyond lists.bin")
    if (
        (rank >= documents).any()
        or docid[0] != 0
        or docid[-1] != layout["docids.bin"]
        or (np.diff(docid) < 0).any()
    ):
        raise ValueError("its ids are not in their places")


def _mapped(path: Path, size: int) -> np.ndarray:
    """Return a file's bytes; ValueError if it is of another size."""
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} is cut short")
    if not size:
        return np.zeros(1, np.uint8)  # nothing can be mapped, nor is it read
    with open(path, "rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
