"""TREC run files in one strict form, so that every evaluator gives one figure.

A line is ``qid Q0 docid rank score tag``; ranks from 1, scores strictly decreasing, each docid once. Documents are
ordered by score (as a 32-bit float) descending, and equal scores by docid: ascending, as Anserini's sort
(``BREAK_SCORE_TIES_BY_DOCID``) has them, or descending, as trec_eval has them. Because evaluators differ in what they do
with equal scores, a tied score is written as the next smaller 32-bit float, so that each of them keeps the file's order.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from repro.base.errors import InputError

Run = dict[str, dict[str, float]]
"""Query id -> document id -> score, best first."""


TIES = ("anserini", "trec_eval")
"""Documents of equal score: by docid ascending (the default everywhere), or by docid descending."""


def ranked(scores: Mapping[str, float], ties: str = TIES[0]) -> list[tuple[str, float]]:
    """Order one query's documents by 32-bit score, equal ones by docid; return them with strictly decreasing scores.

    ``ties`` is one of ``TIES``. A score that is not below the one before it becomes the next smaller 32-bit float.
    """
    docids = sorted(scores, reverse=docids_descend(ties))  # code points sort as the bytes of UTF-8 do
    values = np.array([scores[docid] for docid in docids], dtype=np.float32)
    order = np.argsort(-values, kind="stable")
    values = values[order]
    for i in np.flatnonzero(values[1:] == values[:-1]) + 1:
        values[i] = np.nextafter(values[i - 1], np.float32(-np.inf))
    if (values[1:] >= values[:-1]).any():  # a lowered score met the next
        for i in range(1, len(values)):
            values[i] = min(values[i], np.nextafter(values[i - 1], np.float32(-np.inf)))
    return [(docids[i], value) for i, value in zip(order, values)]


def docids_descend(ties: str) -> bool:
    """Tell whether documents of equal score go by docid descending; InputError if ``ties`` is none of ``TIES``."""
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
            for rank, (docid, score) in enumerate(ranked(scores, ties), 1):
                file.write(f"{query} Q0 {docid} {rank} {_shortest(score)} {tag}\n")
                lines += 1
    return lines


def _shortest(score: np.float32) -> str:
    """Return the shortest decimals, without an exponent, that read back as this 32-bit float."""
    value = float(score)
    if value.is_integer():  # most impact scores
        return str(int(value))
    return np.format_float_positional(score, trim="-")


def read_run(path: Path, by_rank: bool = False) -> Run:
    """Read a run file of any system; InputError names the line that has not six columns, or a docid given twice.

    With ``by_rank``, the score returned is minus the rank column: MS MARCO's own evaluation looks at ranks alone.
    """
    run: Run = {}
    for number, query, docid, score, *_ in _entries(path, by_rank):
        results = run.setdefault(query, {})
        if docid in results:
            raise InputError(f"{path}, line {number}: query {query} lists document {docid} a second time")
        results[docid] = score
    return run


class RankedRun(Mapping[str, list[str]]):
    """Query id -> its ``depth`` best documents in the order of ``ranked``, read from a run file when asked for.

    Memory is where each query's lines lie. InputError if the file is no run, or lists a document twice for a query.
    """

    def __init__(self, path: Path, depth: int, ties: str = TIES[0]) -> None:
        self.path, self.depth, self.ties = path, depth, ties
        self.places: dict[str, list[int]] = {}
        """Query id -> start and end of its lines in the file, and of further ones if they are in several places."""
        for _, query, _, _, start, end in _entries(path, by_rank=False):
            places = self.places.setdefault(query, [])
            if places and places[-1] == start:
                places[-1] = end
            else:
                places += start, end

    def __getitem__(self, query: str) -> list[str]:
        scores: dict[str, float] = {}
        places = self.places[query]
        with open(self.path, "rb") as file:
            for start, end in zip(places[::2], places[1::2]):
                file.seek(start)
                for fields in filter(None, map(str.split, file.read(end - start).decode().split("\n"))):
                    docid = fields[2]
                    if docid in scores:
                        raise InputError(f"{self.path}: query {query} lists document {docid} a second time")
                    scores[docid] = float(fields[4])
        return [docid for docid, _ in ranked(scores, self.ties)[: self.depth]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _entries(path: Path, by_rank: bool) -> Iterator[tuple[int, str, str, float, int, int]]:
    """Yield (line number, query, docid, score, first byte, last byte + 1) of a run file."""
    empty, end = True, 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                start, end = end, end + len(line)
                fields = line.decode().split()
                if not fields:
                    continue
                if len(fields) != 6:
                    raise InputError(
                        f"{path}, line {number}: expected 6 columns (qid Q0 docid rank score tag), found {len(fields)}"
                    )
                query, _, docid, rank, score, _ = fields
                try:
                    value = -float(rank) if by_rank else float(score)
                    if math.isnan(value):
                        raise ValueError
                except ValueError:
                    wrong = f"rank {rank!r}" if by_rank else f"score {score!r}"
                    raise InputError(f"{path}, line {number}: the {wrong} is not a number") from None
                empty = False
                yield number, query, docid, value, start, end
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such run file; make it with python -m repro.search") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected a TREC run file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; expected a TREC run file") from None
    if empty:
        raise InputError(f"{path}: the run is empty; expected lines of qid Q0 docid rank score tag")
