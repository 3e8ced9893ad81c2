"""Folders in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/<split>.tsv``, or their ``.gz``."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.collections.model import Document, Qrels, Query, check_id, clean


@dataclass(frozen=True)
class BeirFolder:
    """One split of a folder in BEIR's layout."""

    folder: Path
    split: str
    local = True

    def documents(self) -> Iterator[Document]:
        """Stream ``corpus.jsonl``; InputError names the file and line of a bad record."""
        for where, identifier, record in self._records("corpus"):
            title, text = record.get("title") or "", record.get("text")
            if not isinstance(text, str) or not isinstance(title, str):
                raise InputError(f'{where}: expected a string in "text" (and in "title", if there is one)')
            yield Document(identifier, clean(f"{title} {text}"))

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
        path = self._find(f"qrels/{self.split}.tsv")
        qrels: Qrels = {}
        for number, line in _lines(path):
            fields = line.split("\t") if "\t" in line else line.split()
            if not line.strip() or (
                number == 1 and fields[0].strip().lower() in ("query-id", "query_id", "qid")
            ):
                continue
            try:
                query, document, grade = (field.strip() for field in fields)
                qrels.setdefault(query, {})[document] = int(grade)
            except ValueError:
                raise InputError(
                    f"{path}, line {number}: expected query id, document id and an integer grade, "
                    f"separated by tabs, and found {line.strip()!r}"
                ) from None
        if not qrels:
            raise InputError(
                f"{path}: no judgment in it; expected a header and lines of query id, document id, grade"
            )
        return qrels

    def state(self) -> dict:
        """Size and time of the corpus file."""
        path = self._find("corpus.jsonl")
        status = path.stat()
        return {"file": str(path.resolve()), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}

    def _find(self, name: str) -> Path:
        for path in (self.folder / name, self.folder / f"{name}.gz"):
            if path.is_file():
                return path
        message = f"{self.folder / name} (or {name}.gz) is missing; a BEIR folder has corpus.jsonl, queries.jsonl and qrels/"
        splits = sorted(
            {p.name.removesuffix(".gz").removesuffix(".tsv") for p in self.folder.glob("qrels/*.tsv*")}
        )
        if name.startswith("qrels/") and splits:
            message = f"{self.folder} has no split {self.split!r}; choose --split from: {', '.join(splits)}"
        raise InputError(message)

    def _records(self, part: str) -> Iterator[tuple[str, str, dict]]:
        """Yield where a record stands, its id and the record."""
        path = self._find(f"{part}.jsonl")
        for number, line in _lines(path):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{where}: not JSON ({error.msg}); expected one object a line") from None
            if not isinstance(record, dict):
                raise InputError(f"{where}: expected a JSON object and found {line.strip()[:40]!r}")
            identifier = record.get("_id")
            if isinstance(identifier, int):
                identifier = str(identifier)
            if not isinstance(identifier, str):
                raise InputError(f'{where}: no "_id"; every record needs one, a string')
            yield where, check_id(identifier, where), record


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, gzipped or not, numbered from 1."""
    number = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: not UTF-8; convert the file to UTF-8") from None
        except (EOFError, gzip.BadGzipFile):
            raise InputError(
                f"{path}, after line {number}: the gzip file is cut off or damaged; fetch it again"
            ) from None
