"""TREC run files in one strict form, so that every evaluator gives one figure.

A line is ``qid Q0 docid rank score tag``; ranks from 1, scores strictly decreasing, each docid once.
Documents are ordered by score (as a 32-bit float) descending, and equal scores by docid: ascending, as
Anserini's sort (``BREAK_SCORE_TIES_BY_DOCID``) has them, or descending, as trec_eval has them. Because
evaluators differ in what they do with equal scores, a tied score is written as the next smaller 32-bit float,
which is how trec_eval reads it, so that each of them keeps the file's order.
"""

import contextlib
import hashlib
import math
import re
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from operator import neg
from pathlib import Path
from typing import BinaryIO

import numpy as np

from repro.base.errors import InputError
from repro.base.records import bounded_lines

Run = dict[str, dict[str, float]]
"""Query id -> document id -> score, best first."""


TIES = ("anserini", "trec_eval")
"""Documents of equal score: by docid ascending (the default everywhere), or by docid descending."""
INFINITY_BITS = 0x7F800000
LONGEST_TAG = 25
"""Characters, for TREC's checkers."""


def trec_tag(name: str) -> str:
    """Return a system's name as a tag that TREC's checkers take: up to 25 letters, digits, '-' and '_'.

    Of a longer one the end gives way to the first digits of a checksum, so that two stay apart.
    """
    tag = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    if len(tag) <= LONGEST_TAG:
        return tag
    digits = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{tag[: LONGEST_TAG - len(digits) - 1]}-{digits}"


def ranked(scores: Mapping[str, float], ties: str = TIES[0]) -> list[tuple[str, np.float32]]:
    """Order one query's documents by 32-bit score, equal ones by docid; return them with their scores.

    The scores strictly decrease: one that is not below its predecessor becomes the next smaller 32-bit float.
    ``ties`` is one of ``TIES``.
    """
    return list(zip(*_ranked(scores, ties)))


def _ranked(scores: Mapping[str, float], ties: str) -> tuple[list[str], np.ndarray]:
    """Return the docids in order, and their scores (float32)."""
    docids = sorted(scores, reverse=docids_descend(ties))  # code points sort as the bytes of UTF-8 do
    values = np.array([scores[docid] for docid in docids], dtype=np.float32)
    order = np.argsort(-values, kind="stable")
    return [docids[place] for place in order.tolist()], lowered(values[order])


def lowered(values: np.ndarray) -> np.ndarray:
    """Return float32 values, which do not increase, with each that is not below its predecessor lowered.

    A float's rank among all floats is its bits as an integer, if those of negative ones are turned around.
    The next smaller float's is one less: lowered[i] = min(rank[i], lowered[i - 1] - 1), a running minimum.
    """
    if (values[1:] < values[:-1]).all():
        return values
    least = np.int64(np.iinfo(np.int32).min)
    bits = values.view(np.int32).astype(np.int64)
    ranks = np.where(bits < 0, least - bits, bits)
    places = np.arange(len(values))
    below = np.maximum(np.minimum.accumulate(ranks + places) - places, -INFINITY_BITS)
    return np.where(below < 0, least - below, below).astype(np.int32).view(np.float32)


def docids_descend(ties: str) -> bool:
    """Tell whether equal scores go by docid descending; InputError if ``ties`` is not in ``TIES``."""
    if ties not in TIES:
        raise InputError(f"unknown order of ties {ties!r}; name one of {', '.join(TIES)}")
    return ties == "trec_eval"


def write_run(
    path: Path, results: Iterable[tuple[str, Mapping[str, float]]], tag: str, ties: str = TIES[0]
) -> int:
    """Write the results of each query, ordered by ``ranked``; return the number of lines."""
    lines = 0
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for query, scores in results:
            docids, values = _ranked(scores, ties)
            file.writelines(
                f"{query} Q0 {docid} {rank} {score} {tag}\n"
                for rank, (docid, score) in enumerate(zip(docids, _decimals(values)), 1)
            )
            lines += len(docids)
    return lines


def _decimals(values: np.ndarray) -> list[str]:
    """Return integers, as most impact scores are, and else the shortest decimals that read back as the same.

    None has an exponent.
    """
    return [
        str(int(value))
        if value.is_integer()
        else np.format_float_positional(np.float32(value), trim="-")
        if "e" in text
        else text
        for value, text in zip(values.tolist(), values.astype(np.str_).tolist())
    ]


def read_run(path: Path, by_rank: bool = False) -> Run:
    """Read a whole run file of any system, as ``read_queries`` does a query at a time."""
    return dict(read_queries(path, by_rank))


def read_queries(path: Path, by_rank: bool = False) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each query of a run file of any system with its results (docid -> score), in the file's order.

    A query's lines need not stand together. The file is read twice: for where each query's lines lie, and for
    the results of a query at a time; memory is that of the places and of one query. With ``by_rank``, the
    score is minus the rank column: MS MARCO's own evaluation looks at ranks alone. InputError if the file is
    no run; it names the line that has not six columns, or gives a docid twice.
    """
    with _opened(path) as file:
        for query, spans in _places(file, path).items():
            yield query, _read_results(file, path, query, spans, by_rank)


class RankedRun(Mapping[str, list[str]]):
    """Query id -> its ``depth`` best documents in the order of ``ranked``, read from a run file when needed.

    Memory is that of the places of each query's lines. InputError if the file is no run; for a bad line, when
    its query is read.
    """

    def __init__(self, path: Path, depth: int, ties: str = TIES[0]) -> None:
        self.path, self.depth, self.ties = path, depth, ties
        with _opened(path) as file:
            self.places = _places(file, path)

    def __getitem__(self, query: str) -> list[str]:
        return [docid for docid, _ in self.results(query)]

    def results(self, query: str) -> list[tuple[str, float]]:
        """Return the same documents with their scores in the file."""
        spans = self.places[query]
        with _opened(self.path) as file:
            scores = _read_results(file, self.path, query, spans, by_rank=False)
        return [(docid, scores[docid]) for docid, _ in ranked(scores, self.ties)[: self.depth]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a run file, a copy of what can be read only once, as a pipe; InputError if there is none."""
    try:
        with open(path, "rb") as file:
            if file.seekable():
                yield file
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(file, copy)
                copy.seek(0)
                yield copy
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such run file; make it with python -m repro.search") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected a TREC run file") from None


def _places(file: BinaryIO, path: Path) -> "dict[str, array[int]]":
    """Return query id -> the first byte and the last + 1 of its lines, and of further ones that lie apart."""
    places: dict[bytes, array[int]] = {}
    spans, before, end = array("q"), b"\0", 0
    for line in bounded_lines(file, path):
        start, end = end, end + len(line)
        if line.startswith(before):  # the same query as in the line before
            spans[-1] = end
        elif fields := line.split(None, 1):
            query = fields[0]
            before = line[: line.index(query) + len(query) + 1]  # with the blank that ends it
            spans = places.setdefault(query, array("q"))
            spans.extend((start, end))
    if not places:
        raise InputError(f"{path}: the run is empty; expected lines of qid Q0 docid rank score tag")
    try:
        return {query.decode(): spans for query, spans in places.items()}
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; expected a TREC run file") from None


def _read_results(
    file: BinaryIO, path: Path, query: str, spans: "array[int]", by_rank: bool
) -> dict[str, float]:
    """Return a query's results from the places of its lines; InputError as ``_check_line`` raises it."""
    blocks = []
    for start, end in zip(spans[::2], spans[1::2]):
        file.seek(start)
        blocks.append(file.read(end - start))
    block = b"".join(blocks)
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    try:  # all lines at once: this is what reads 55 million of them in a minute
        fields = block.decode().split()
        numbers = map(float, fields[3::6] if by_rank else fields[4::6])
        results = dict(zip(fields[2::6], map(neg, numbers) if by_rank else numbers))
        if (
            len(results) == lines
            and len(fields) == 6 * lines
            and fields[::6].count(query) == lines
            and not any(map(math.isnan, results.values()))
        ):
            return results
    except ValueError:  # no number, or not UTF-8
        pass
    return _read_lines(file, path, query, spans, by_rank)


def _read_lines(
    file: BinaryIO, path: Path, query: str, spans: "array[int]", by_rank: bool
) -> dict[str, float]:
    """Return a query's results line by line, some of which are blank or bad; InputError names a bad one."""
    results: dict[str, float] = {}
    for start, end in zip(spans[::2], spans[1::2]):
        file.seek(0)
        before = sum(file.read(min(1 << 20, start - at)).count(b"\n") for at in range(0, start, 1 << 20))
        for number, line in enumerate(file.read(end - start).split(b"\n"), before + 1):
            where = f"{path}, line {number}"
            try:
                fields = line.decode().split()
            except UnicodeDecodeError:
                raise InputError(f"{where}: not UTF-8 text; expected a TREC run file") from None
            if not fields:
                continue
            if len(fields) != 6:
                expected = "expected 6 columns (qid Q0 docid rank score tag)"
                raise InputError(f"{where}: {expected}, found {len(fields)}")
            value = _number(fields[3 if by_rank else 4])
            if math.isnan(value):
                wrong = f"rank {fields[3]!r}" if by_rank else f"score {fields[4]!r}"
                raise InputError(f"{where}: the {wrong} is not a number")
            if fields[2] in results:
                raise InputError(f"{where}: query {query} lists document {fields[2]} a second time")
            results[fields[2]] = -value if by_rank else value
    return results


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
