"""Judgments in TREC's form."""

from collections.abc import Iterator
from pathlib import Path

from repro.base.errors import InputError
from repro.base.records import numbered_lines
from repro.collections.model import Judgment, Qrels, collect_judgments


def read_trec_qrels(path: Path) -> Qrels:
    """Read judgments in TREC's form: query id, iteration, document id, grade.

    InputError if the file has none, or a line that is none; a warning if a document is judged in two ways.
    """
    try:
        qrels = collect_judgments(_judgments(path))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: there is no such qrels file") from None
    if not qrels:
        raise InputError(f"{path}: no judgment in it")
    return qrels


def _judgments(path: Path) -> Iterator[Judgment]:
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            query, _, document, grade = line.split()
            yield Judgment(where, query, document, int(grade))
        except ValueError:
            raise InputError(
                f"{where}: expected 4 columns (query id, iteration, document id, integer grade)"
            ) from None
