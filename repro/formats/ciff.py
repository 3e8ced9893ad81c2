"""The Common Index File Format: an inverted index as one stream of protobuf messages (Lin et al. 2020,
arXiv:2003.08276; the schema is CommonIndexFileFormat.proto of github.com/osirrc/ciff).

A Header, a PostingsList for each term, a DocRecord for each document, each behind its length as a varint. A
posting holds the difference from the document before it, and for a term frequency its impact. Messages are
encoded here a list at a time by NumPy, some 100 times as fast as the protobuf package makes an object of each
posting; ``tests/unit/test_export_ciff.py`` reads them with that package.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np

VERSION = 1
BLOCK = 2**20
"""Postings that are encoded at a time."""

VARINT, DOUBLE, BYTES = 0, 1, 2
"""Protobuf's wire types, the last three bits of a field's tag."""


class PostingsList(NamedTuple):
    """A term's documents (numbers from 0 up, ascending) and their impacts (from 1 up), int32 arrays."""

    term: str
    documents: np.ndarray
    impacts: np.ndarray


class Header(NamedTuple):
    """What a file holds: numbers of lists and documents, the sum of all impacts, and words for a reader."""

    lists: int
    documents: int
    impacts: int
    description: str


def write_ciff(file: IO[bytes], header: Header, lists: Iterable[PostingsList], docids: Iterable[str]) -> None:
    """Write an index to ``file``; ``docids`` are those of documents 0, 1 ...

    The lists are read before the first docid. A document's length is the sum of its impacts.
    """
    file.write(_delimited(_header(header)))
    lengths = np.zeros(header.documents, np.int64)
    for of_term in lists:
        lengths[of_term.documents] += of_term.impacts
        message = b"".join(_postings_list(of_term))
        file.write(_varint(len(message)))
        file.write(message)
    for number, (docid, length) in enumerate(zip(docids, lengths.tolist())):
        file.write(_delimited(_integer(1, number) + _text(2, docid) + _integer(3, length)))


def _header(header: Header) -> bytes:
    mean = header.impacts / max(1, header.documents)
    counts = (VERSION, header.lists, header.documents, header.lists, header.documents, header.impacts)
    fields = [_integer(number, count) for number, count in enumerate(counts, start=1)]
    fields += [_tag(7, DOUBLE) + struct.pack("<d", mean) if mean else b"", _text(8, header.description)]
    return b"".join(fields)


def _postings_list(of_term: PostingsList) -> Iterator[bytes]:
    """Yield the message of a list in pieces."""
    documents, impacts = of_term.documents, of_term.impacts
    yield _text(1, of_term.term) + _integer(2, len(documents)) + _integer(3, int(impacts.sum(dtype=np.int64)))
    gaps = np.diff(documents, prepend=0)
    for start in range(0, len(gaps), BLOCK):
        yield _postings(gaps[start : start + BLOCK], impacts[start : start + BLOCK])


def _postings(gaps: np.ndarray, impacts: np.ndarray) -> bytes:
    """Encode postings: in each row of a matrix the bytes of one, and which of them are written."""
    (gap, gap_used), (impact, impact_used) = _varints(gaps), _varints(impacts)
    written = gaps > 0  # protobuf leaves out a field that is 0
    gap_used &= written[:, None]
    count = len(gaps)

    def column(value: int | np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, np.uint8), count)[:, None]

    always = np.ones((count, 1), bool)
    sizes = written + gap_used.sum(axis=1) + 1 + impact_used.sum(axis=1)
    posting, docid, frequency = _tag(4, BYTES)[0], _tag(1, VARINT)[0], _tag(2, VARINT)[0]
    rows = np.hstack([column(posting), column(sizes), column(docid), gap, column(frequency), impact])
    used = np.hstack([always, always, written[:, None], gap_used, always, impact_used])
    return rows[used].tobytes()


def _varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return non-negative 32-bit values as rows of 5 bytes, lowest 7 bits first, and which bytes are used."""
    parts = values[:, None].astype(np.uint32) >> np.arange(0, 35, 7, dtype=np.uint32)
    used = parts > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    return ((parts & 0x7F) | (more * np.uint32(0x80))).astype(np.uint8), used


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _integer(field: int, value: int) -> bytes:
    return _tag(field, VARINT) + _varint(value) if value else b""


def _text(field: int, text: str) -> bytes:
    encoded = text.encode()
    return _tag(field, BYTES) + _varint(len(encoded)) + encoded if encoded else b""


def _delimited(message: bytes) -> bytes:
    return _varint(len(message)) + message
