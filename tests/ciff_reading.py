"""A whole file in the Common Index File Format, as dictionaries."""

from dataclasses import dataclass
from typing import IO, Any

from repro.formats.ciff_reading import CiffReader


@dataclass(frozen=True)
class CiffIndex:
    """What a file holds: its header, term -> docid -> impact, docid -> length."""

    header: Any
    postings: dict[str, dict[str, int]]
    lengths: dict[str, int]


def read_ciff(file: IO[bytes]) -> CiffIndex:
    """Read a whole file."""
    reader = CiffReader(file, "the file")
    lists, lengths = list(reader.lists()), dict(reader.documents())
    docids = list(lengths)
    postings = {
        of_term.term: {
            docids[document]: impact for document, impact in zip(of_term.documents, of_term.impacts.tolist())
        }
        for of_term in lists
    }
    return CiffIndex(reader.header, postings, lengths)
