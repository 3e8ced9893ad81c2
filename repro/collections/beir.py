"""Folders in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/<split>.tsv``, or their ``.gz``."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.records import numbered_lines, parse_object
from repro.collections.model import (
    Document,
    Judgment,
    Qrels,
    Query,
    State,
    check_id,
    clean,
    collect_judgments,
)

DEEP_LEARNING_SPLIT = re.compile(r"(^|\W)dl-?(20)?(19|2[0-3])\b")
DEEP_LEARNING = ["nDCG@10", "RR(rel=2)", "AP(rel=2)"]
"""What the passage tasks of TREC's Deep Learning tracks measure: binary measures count grades from 2 up."""
HEADERS = ("query-id", "query_id", "qid")


@dataclass(frozen=True)
class BeirFolder:
    """One split of a folder in BEIR's layout; InputError for a split that is no name of a file in qrels/."""

    folder: Path
    split: str
    local = True

    def __post_init__(self) -> None:
        parts = self.split.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in self.split:
            raise InputError(
                f"--split {self.split}: expected the name of a file in {self.folder / 'qrels'} without its "
                ".tsv, as test or dev/small"
            )

    def documents(self) -> Iterator[Document]:
        """Stream ``corpus.jsonl``; InputError names the file and line of a bad record."""
        for _, document in self.titled_documents():
            yield document

    def titled_documents(self) -> Iterator[tuple[str, Document]]:
        """Stream ``corpus.jsonl``, each document with its title (in its text, too), empty if it has none."""
        for where, identifier, record in self._records("corpus"):
            title, text = record.get("title") or "", record.get("text")
            if not isinstance(text, str) or not isinstance(title, str):
                raise InputError(f'{where}: expected a string in "text" (and in "title", if there is one)')
            yield clean(title), Document(identifier, clean(f"{title} {text}"))

    def queries(self) -> Iterator[Query]:
        """Stream ``queries.jsonl``."""
        seen = set()
        for where, identifier, record in self._records("queries"):
            if not isinstance(record.get("text"), str):
                raise InputError(f'{where}: expected a string in "text"')
            if identifier in seen:
                raise InputError(f"{where}: the query id {identifier} occurs twice; ids must be unique")
            seen.add(identifier)
            yield Query(identifier, clean(record["text"]))

    def qrels(self) -> Qrels:
        """Read ``qrels/<split>.tsv``: a header, then query id, document id and grade, tab-separated."""
        path = self.qrels_file()
        qrels = collect_judgments(_judgments(path))
        if not qrels:
            raise InputError(
                f"{path}: no judgment in it; expected a header and lines of query id, document id, grade"
            )
        return qrels

    def qrels_file(self) -> Path:
        """Return the split's file; InputError, which names those there are, if it is not there."""
        return self._find(f"qrels/{self.split}.tsv")

    def state(self) -> State:
        """Return the size and time of the corpus file."""
        return file_state(self._find("corpus.jsonl"))

    def official_measures(self) -> list[str]:
        """Return nothing, unless the split names a Deep Learning track: ``dl19``, ``trec-dl-2020``."""
        return DEEP_LEARNING if DEEP_LEARNING_SPLIT.search(self.split) else []

    def _find(self, name: str) -> Path:
        for path in (self.folder / name, self.folder / f"{name}.gz"):
            if path.is_file():
                return path
        message = (
            f"{self.folder / name} (or {name}.gz) is missing; "
            "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/"
        )
        files = (self.folder / "qrels").rglob("*.tsv*")
        splits = {p.relative_to(self.folder / "qrels").as_posix().partition(".tsv")[0] for p in files}
        if name.startswith("qrels/") and splits:
            message = (
                f"{self.folder} has no split {self.split!r}; choose --split from: {', '.join(sorted(splits))}"
            )
        raise InputError(message)

    def _records(self, part: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield where a record stands, its id and the record."""
        path = self._find(f"{part}.jsonl")
        for number, line in numbered_lines(path):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            record = parse_object(line, where)
            identifier = record.get("_id")
            if isinstance(identifier, int) and not isinstance(identifier, bool):
                identifier = str(identifier)
            if not isinstance(identifier, str):
                raise InputError(f'{where}: no "_id"; every record needs one, a string')
            yield where, check_id(identifier, where), record


def file_state(path: Path) -> State:
    """Return what tells whether a file is still the same: where it lies, its size and time."""
    status = path.stat()
    return {"file": str(path.resolve()), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write a split's file: a header, then query id, document id and grade, tab-separated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{q}\t{d}\t{grade}\n" for q, judged in qrels.items() for d, grade in judged.items()]
    path.write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")


def write_records(path: Path, records: Iterable[Mapping[str, str]]) -> None:
    """Write the file of a corpus or of queries: a JSON object a line."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def _judgments(path: Path) -> Iterator[Judgment]:
    header_possible = True
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        if header_possible and fields[0].lower() in HEADERS:
            header_possible = False
            continue
        header_possible = False
        try:
            query, document, grade = fields
            yield Judgment(f"{path}, line {number}", query, document, int(grade))
        except ValueError:
            raise InputError(
                f"{path}, line {number}: expected query id, document id and an integer grade, "
                f"separated by tabs, and found {line.strip()[:80]!r}"
            ) from None
