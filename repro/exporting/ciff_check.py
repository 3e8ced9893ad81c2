"""A file in the Common Index File Format read back, each of its postings compared with the index's."""

import math
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import track
from repro.exporting.narrowing import Narrowing
from repro.formats.ciff import VERSION, PostingsList
from repro.formats.ciff_reading import CiffReader


def verify(path: Path, index: Path, narrowing: Narrowing) -> dict[str, int]:
    """Compare the file at ``path`` with the index of impacts in the folder ``index``, after ``narrowing``.

    Terms, documents, impacts, ids and lengths, all in their order, and the header. Return how many terms,
    postings and documents are equal; InputError, which tells the first that is not.
    """
    from repro.lucene.posting_lists import PostingsReader

    with open(path, "rb") as file, PostingsReader(index) as reader:
        found = CiffReader(file, str(path))
        lengths, postings = np.zeros(reader.documents, np.int64), 0
        lists = track(found.lists(), found.header.num_postings_lists, f"comparing {path.name}", "terms")
        for number, (of_term, expected) in enumerate(zip_longest(lists, reader.lists())):
            if of_term is None or expected is None or of_term.term != expected.term:
                terms = (None if one is None else one.term for one in (of_term, expected))
                raise _differs(path, f"term {number:,}", *terms)
            narrowed = expected._replace(impacts=narrowing(expected.impacts))
            if difference := _first_difference(of_term, narrowed):
                posting, *both = difference
                raise _differs(path, f"posting {posting:,} of {of_term.term!r}", *both)
            lengths[narrowed.documents] += narrowed.impacts
            postings += len(narrowed.documents)
        records = zip_longest(found.documents(), zip(reader.docids(), lengths.tolist()))
        for number, (record, expected_record) in enumerate(records):
            if record != expected_record:
                raise _differs(path, f"document {number:,}", record, expected_record)
    terms = found.header.num_postings_lists
    check_header(path, found.header, terms, lengths)
    return {"terms": terms, "postings": postings, "documents": len(lengths)}


def check_header(path: Path, header: Any, terms: int, lengths: np.ndarray) -> None:
    """Compare what a file's header tells of all with the index's; InputError for the first that differs.

    ``terms`` lists of postings are in the file, and documents of these ``lengths``. The mean length may be
    summed in another way, so the last digits of a double are not compared.
    """
    total = int(lengths.sum())
    expected = {
        "version": VERSION,
        "total_postings_lists": terms,
        "total_docs": len(lengths),
        "total_terms_in_collection": total,
        "average_doclength": total / max(1, len(lengths)),
    }
    for field, value in expected.items():
        stated = getattr(header, field)
        if not math.isclose(stated, value, rel_tol=1e-12):
            raise _differs(path, f"{field} of the header", stated, value)


def _first_difference(found: PostingsList, expected: PostingsList) -> tuple[int, object, object] | None:
    """Return the first posting that is not the same in both lists, as (document, impact) or None; None if all
    are.
    """
    pairs = (found.documents, expected.documents), (found.impacts, expected.impacts)
    if all(np.array_equal(one, other) for one, other in pairs):
        return None
    both = (zip(of.documents.tolist(), of.impacts.tolist()) for of in (found, expected))
    lines = enumerate(zip_longest(*both))
    return next((number, one, other) for number, (one, other) in lines if one != other)


def _differs(path: Path, what: str, found: object, expected: object) -> InputError:
    return InputError(
        f"{path}: {what} is {_shown(found)}, and in the index {_shown(expected)}; export it anew with --force"
    )


def _shown(value: object) -> str:
    match value:
        case None:
            return "missing"
        case (int(document), int(impact)):
            return f"document {document:,} with impact {impact:,}"
        case (str(docid), int(length)):
            return f"{docid!r} with length {length:,}"
        case str():
            return repr(value)
    return f"{value:,}"
