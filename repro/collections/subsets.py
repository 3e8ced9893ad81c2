"""What a subset of a collection consists of: lists of ids, and the recipes that ship with the project.

A recipe (``subsets/*.yaml``) names the collection of the documents and those of each split, lists of ids
(numbers only: the texts are their owners'), and checksums of what must come out.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from repro.base.errors import InputError
from repro.base.records import numbered_lines
from repro.collections.model import Qrels

FOLDER = Path(__file__).parent / "subsets"


@dataclass(frozen=True)
class Part:
    """The queries and judgments of one split: those of ``queries``, or all that have a document left.

    ``sha256`` is expected of the queries' texts and of the judgments; None if nothing is.
    """

    collection: str
    split: str | None
    queries: frozenset[str] | None
    sha256: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Subset:
    """Documents of ``collection`` and the splits, by name.

    ``sha256`` are the checksums that the documents may have, by variant of the text; None if any will do.
    """

    name: str
    collection: str
    split: str | None
    documents: frozenset[str]
    parts: Mapping[str, Part]
    sha256: Mapping[str, str] | None = None


def read_ids(path: Path) -> frozenset[str]:
    """Read ids, one a line, gzipped (``.gz``) or not; InputError if there is no file, or none in it."""
    try:
        lines = [(number, line.strip()) for number, line in numbered_lines(path)]
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: there is no such file; expected a list of ids, one a line") from None
    for number, line in lines:
        if len(line.split()) > 1:
            raise InputError(f"{path}, line {number}: expected one id, and found {line[:40]!r}")
    ids = frozenset(line for _, line in lines if line)
    if not ids:
        raise InputError(f"{path}: no id in it; expected one a line")
    return ids


def read_subset(name: str) -> Subset:
    """Return the recipe called ``name``; InputError, which names those there are, if there is none."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise InputError(f"--recipe {name}: no such subset; choose from {known}")
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    parts = {
        split: Part(
            part["collection"],
            None,
            read_ids(FOLDER / part["ids"]) if "ids" in part else None,
            part["sha256"],
        )
        for split, part in recipe["splits"].items()
    }
    documents = recipe["documents"]
    ids = read_ids(FOLDER / documents["ids"])
    return Subset(name, documents["collection"], None, ids, parts, documents["sha256"])


def texts_checksum(texts: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over (id, text), by id, white space in the texts collapsed: copies differ in that."""
    digest = hashlib.sha256()
    for identifier, text in sorted(texts):
        digest.update(f"{identifier}\t{' '.join(text.split())}\n".encode())
    return digest.hexdigest()


def qrels_checksum(qrels: Qrels) -> str:
    """SHA-256 over query id, document id and grade, in order of the ids."""
    lines = sorted((q, d, grade) for q, judged in qrels.items() for d, grade in judged.items())
    return hashlib.sha256("".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in lines).encode()).hexdigest()
