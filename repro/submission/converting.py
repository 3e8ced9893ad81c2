"""Runs from one form to another: TREC's columns, MS MARCO's, ranx's JSON ({qid: {docid: score}})."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from repro.base.errors import InputError
from repro.base.progress import track
from repro.base.records import bounded_lines
from repro.cli.submission_options import ConversionOptions
from repro.formats.runs import ranked, read_queries, write_run
from repro.submission.files import FORMS, Form, form_of, plain, written

Scores = dict[str, float]
Results = Iterator[tuple[str, Scores]]
TIES = "trec_eval"
"""Equal scores of a run of any system are ordered as trec_eval orders them, as repro.evaluate does."""
SUFFIXES: dict[str, Form] = {".trec": "trec", ".run": "trec", ".tsv": "msmarco", ".json": "json"}


def convert(source: Path, target: Path, options: ConversionOptions) -> str:
    """Write a run in another form; return how many topics and documents it has, in words.

    All but JSON is read a topic at a time. InputError for a bad line, or an unknown form of ``target``.
    """
    form, origin = _form(target, options.to), form_of(source)
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: the same file as the input; name another")
    if options.by_rank and origin != "trec":
        raise InputError(f"--by-rank: {source} is no TREC run, and only these have both scores and ranks")
    tag = options.tag or (_tag(source) if origin == "trec" else None)
    if form == "trec" and tag is None:
        raise InputError(f"--tag: {source} has none, and each line of a TREC run ends with one; name it")
    topics = documents = 0

    def counted(results: Results) -> Results:
        nonlocal topics, documents
        for query, scores in results:
            topics, documents = topics + 1, documents + len(scores)
            yield query, scores

    with results_of(source, origin, options.by_rank) as results, written(target) as file:
        WRITERS[form](file, counted(track(results, None, f"converting {source.name}", "topics")), tag)
    return f"{topics:,} topics, {documents:,} documents"


def _form(target: Path, to: str | None) -> Form:
    """Return the form to write, as named or by the file's name; InputError if neither tells."""
    suffixes = [suffix for suffix in target.suffixes if suffix not in (".gz", ".bz2")]
    named = to or SUFFIXES.get(suffixes[-1] if suffixes else "")
    for form in FORMS:
        if form == named:
            return form
    raise InputError(f"{target}: its name does not tell a form; name it with --to {', '.join(FORMS)}")


@contextlib.contextmanager
def results_of(path: Path, form: Form, by_rank: bool = False) -> Iterator[Results]:
    """Give a run's results, a topic at a time: docid -> score (1 / rank in MS MARCO's form, as in Pyserini).

    InputError for a bad line, as it is met.
    """
    with plain(path) as lines:
        if form == "trec":
            with _named(path, lines):
                yield read_queries(lines, by_rank)
        elif form == "json":
            yield iter(_read_json(path, lines).items())
        else:
            with open(lines, "rb") as file:
                yield _read_msmarco(file, path)


@contextlib.contextmanager
def _named(path: Path, lines: Path) -> Iterator[None]:
    """Name the run, and not the copy that is read, in errors."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(lines), str(path))) from error


def _read_msmarco(file: BinaryIO, path: Path) -> Results:
    """Yield each topic of an MS MARCO run; InputError for a bad line, or a topic whose lines stand apart."""
    before, scores, done = None, Scores(), set()
    for number, line in enumerate(bounded_lines(file, path), 1):
        where = f"{path}, line {number}"
        try:
            query, docid, rank = line.decode().strip().split("\t")
            value = 1 / int(rank)
        except (ValueError, ZeroDivisionError):
            raise InputError(f"{where}: expected qid, pid and a rank from 1 up, separated by tabs") from None
        if query != before:
            if before is not None:
                yield before, scores
            if query in done:
                raise InputError(f"{where}: topic {query} goes on after others; put its lines together")
            before, scores = query, {}
            done.add(query)
        if docid in scores:
            raise InputError(f"{where}: topic {query} lists document {docid} a second time")
        scores[docid] = value
    if before is not None:
        yield before, scores


def _read_json(path: Path, lines: Path) -> dict[str, Scores]:
    """Read ranx's JSON as a whole; InputError if it is anything else."""
    try:
        run = json.loads(lines.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    for query, scores in run.items():
        numbers = isinstance(scores, dict) and all(type(value) in (int, float) for value in scores.values())
        if not numbers or any(value != value for value in scores.values()):
            raise InputError(f"{path}, topic {query}: expected document ids with numbers for scores")
    return run


def _tag(path: Path) -> str:
    """Return the tag of a TREC run's first line."""
    with plain(path) as lines, open(lines, "rb") as file:
        return file.readline().split()[-1].decode(errors="replace")


def write_trec(file: BinaryIO, results: Results, tag: str | None) -> None:
    """Write a TREC run in this project's strict form."""
    with tempfile.NamedTemporaryFile(prefix="run-") as lines:
        write_run(Path(lines.name), results, str(tag), TIES)
        with open(lines.name, "rb") as made:
            shutil.copyfileobj(made, file)


def write_msmarco(file: BinaryIO, results: Results, tag: str | None = None) -> None:
    """Write qid, pid, rank, separated by tabs."""
    for query, scores in results:
        lines = [f"{query}\t{docid}\t{rank}\n" for rank, docid in enumerate(_order(scores), 1)]
        file.write("".join(lines).encode())


def _order(scores: Mapping[str, float]) -> list[str]:
    return [docid for docid, _ in ranked(scores, TIES)]


def write_ranx(file: BinaryIO, results: Results, tag: str | None = None) -> None:
    """Write ranx's JSON, a topic a line; scores stay as they are."""
    separator = "{\n"
    for query, scores in results:
        file.write(f"{separator}{json.dumps(query)}: {json.dumps(scores)}".encode())
        separator = ",\n"
    file.write(b"\n}\n")


WRITERS: dict[Form, Callable[[BinaryIO, Results, str | None], Any]] = {
    "trec": write_trec,
    "msmarco": write_msmarco,
    "json": write_ranx,
}
