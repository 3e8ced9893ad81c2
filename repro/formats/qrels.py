"""Judgments in TREC's form."""

from pathlib import Path

from repro.base.errors import InputError
from repro.collections.model import Qrels


def read_trec_qrels(path: Path) -> Qrels:
    """Read judgments in TREC's form: query id, iteration, document id, grade."""
    qrels: Qrels = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: there is no such qrels file") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query, _, document, grade = line.split()
            qrels.setdefault(query, {})[document] = int(grade)
        except ValueError:
            raise InputError(
                f"{path}, line {number}: expected 4 columns (query id, iteration, document id, integer grade)"
            ) from None
    if not qrels:
        raise InputError(f"{path}: no judgment in it")
    return qrels
