"""Runs from one form to another: TREC's columns, MS MARCO's, ranx's JSON ({qid: {docid: score}})."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from repro.base.errors import InputError
from repro.base.progress import track
from repro.base.records import bounded_lines
from repro.cli.submission_options import ConversionOptions
from repro.formats.runs import ranked, read_queries, write_run
from repro.submission.columns import FLOAT32_MAX, LONGEST_RANK
from repro.submission.files import FORMS, LONGEST_LINE, Form, form_of, opened, plain, read_header, written

Scores = dict[str, float]
Results = Iterator[tuple[str, Scores]]
TIES = "trec_eval"
"""Equal scores of a run of any system are ordered as trec_eval orders them, as repro.evaluate does."""
SUFFIXES: dict[str, Form] = {".trec": "trec", ".run": "trec", ".tsv": "msmarco", ".json": "json"}
WORD = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+")
"""What can be a column, and be written as UTF-8."""


def convert(source: Path, target: Path, options: ConversionOptions) -> str:
    """Write a run in another form; return how many topics and documents it has, in words.

    All but JSON is read a topic at a time. InputError for a bad line, or an unknown form of ``target``.
    """
    form, origin = _form(target, options.to), form_of(source)
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: the same file as the input; name another")
    if options.by_rank and origin != "trec":
        raise InputError(f"--by-rank: {source} is no TREC run, and only these have both scores and ranks")
    tag = options.tag or (_tag(source) if form == origin == "trec" else None)
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
                yield _within_float32(path, read_queries(lines, by_rank))
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


def _within_float32(path: Path, results: Results) -> Results:
    """Yield results; InputError for a score that is no finite 32-bit float."""
    for query, scores in results:
        if not -FLOAT32_MAX <= min(scores.values()) <= max(scores.values()) <= FLOAT32_MAX:
            docid = next(docid for docid, score in scores.items() if not _is_score(score))
            raise InputError(
                f"{path}, topic {query}: the score of document {docid} is no finite 32-bit float"
            )
        yield query, scores


def _is_score(value: object) -> bool:
    return type(value) in (int, float) and -FLOAT32_MAX <= cast(float, value) <= FLOAT32_MAX


def _read_msmarco(file: BinaryIO, path: Path) -> Results:
    """Yield each topic of an MS MARCO run; InputError for a bad line, or a topic whose lines stand apart."""
    before, scores, done = None, Scores(), set()
    for number, line in enumerate(bounded_lines(file, path), 1):
        where = f"{path}, line {number}"
        try:
            query, docid, rank = line.decode().strip().split("\t")
            value = 1 / _rank(rank)
        except (ValueError, ZeroDivisionError):
            raise InputError(f"{where}: expected qid, pid and a rank from 1 up, separated by tabs") from None
        if not (WORD.fullmatch(query) and WORD.fullmatch(docid)):
            raise InputError(
                f"{where}: a qid or pid with a blank in it, or an empty one; expected one word each"
            )
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


def _rank(text: str) -> int:
    """Return a rank; ValueError if it has other characters than digits, or too many."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_RANK):
        raise ValueError(text)
    return int(text)


def _read_json(path: Path, lines: Path) -> dict[str, Scores]:
    """Read ranx's JSON as a whole; InputError if it is anything else, or has ids that no column can be."""
    try:
        run = json.loads(lines.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    for query, scores in run.items():
        where = f"{path}, topic {query!a}"
        if not isinstance(scores, dict) or not all(map(_is_score, scores.values())):
            raise InputError(
                f"{where}: expected document ids, with finite numbers (32-bit floats) for scores"
            )
        for word in (query, *scores):
            if not WORD.fullmatch(word):
                raise InputError(f"{where}: the id {word!a} is not one word without blanks")
    return run


def _tag(path: Path) -> str:
    """Return the tag of a TREC run's first line."""
    with opened(path) as file:
        read_header(file)
        return file.readline(LONGEST_LINE).split()[-1].decode(errors="replace")


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
    file.write(b"{")
    separator = "\n"
    for query, scores in results:
        file.write(f"{separator}{json.dumps(query)}: {json.dumps(scores)}".encode())
        separator = ",\n"
    file.write(b"\n}\n")


WRITERS: dict[Form, Callable[[BinaryIO, Results, str | None], Any]] = {
    "trec": write_trec,
    "msmarco": write_msmarco,
    "json": write_ranx,
}
