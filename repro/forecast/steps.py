"""The arithmetic of a forecast: what each stage takes, from rates and numbers of texts; rows and sums."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from repro.dense.stored import BLOCK_BYTES
from repro.forecast.rates import (
    COUNTED,
    MEASURED,
    IndexRate,
    ModelRate,
    RunRate,
    SearchRate,
    TextRate,
)
from repro.formats.flat_vectors import ROWS

DOCUMENTS, QUERIES, INDEX, SEARCH, EVALUATE = "documents", "queries", "index", "search", "evaluate"
PARTS = (DOCUMENTS, QUERIES, INDEX, SEARCH, EVALUATE)
FLOAT = 4
HIT_BYTES, DOCID_BYTES, TOGETHER = 36, 16, 4096
"""What dense search holds of a hit and of a docid, and the queries of one pass (``dense/searching.py``)."""


class Key(NamedTuple):
    """What a step makes: a part, for a system, on a query set (none for what all sets share)."""

    part: str
    system: str
    of_set: str = ""


@dataclass(frozen=True)
class Step:
    """What a stage takes: seconds, its process's peak memory and what it leaves on the disk, in bytes, and
    what lies there meanwhile (``scratch``); None where there is nothing to tell it from (``unknown`` says
    why). ``basis`` and ``disk_basis`` say where seconds and disk come from (``rates``). ``done``: it is
    current, and takes nothing. ``at_most``: the seconds are a bound that larger collections stay below.
    ``ceiling``: so is the memory, which is given to a stage but hardly taken.
    """

    seconds: float | None = 0.0
    memory: int = 0
    disk: float | None = 0.0
    scratch: float = 0.0
    basis: str = MEASURED
    disk_basis: str = MEASURED
    done: bool = False
    unknown: str = ""
    at_most: bool = False
    ceiling: bool = False


DONE = Step(done=True)


@dataclass(frozen=True)
class Row:
    """A row of the table: its steps, those of the systems that it combines among them.

    ``missing`` says that weights are not at hand, or why nothing can be told.
    """

    system: str
    kind: str
    steps: dict[Key, Step] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class Total:
    """What several steps take together, each once: disk is what they leave, ``scratch`` the most that lies
    beside it at a time, memory the greatest peak, ``ceiling`` the greatest bound. Steps that are not known
    count nothing.
    """

    seconds: float
    disk: float
    scratch: float
    memory: int
    ceiling: int = 0


def total(rows: Iterable[Row], common: float = 0.0) -> Total:
    """Return what rows take together, with ``common`` seconds of what is done once for all of them."""
    steps = {key: step for row in rows for key, step in row.steps.items()}.values()
    return Total(
        seconds=common + sum(step.seconds or 0 for step in steps),
        disk=sum(step.disk or 0 for step in steps),
        scratch=max((step.scratch for step in steps), default=0.0),
        memory=max((step.memory for step in steps if not step.ceiling), default=0),
        ceiling=max((step.memory for step in steps if step.ceiling), default=0),
    )


def fitting(
    rows: Sequence[Row], limit: float, of: Callable[[Total], float], common: float = 0.0
) -> list[Row]:
    """Return the rows that stay within a limit of what ``of`` takes from a total, in their order: the small
    ones first.

    A row of which a step is not known is none of them.
    """
    taken: list[Row] = []
    known = [row for row in rows if row.steps and not any(step.unknown for step in row.steps.values())]
    for row in sorted(known, key=lambda row: of(total([row]))):
        if of(total([*taken, row], common)) <= limit:
            taken.append(row)
    return [row for row in rows if row in taken]


def encoding(part: str, texts: int, rate: ModelRate, basis: str, started: bool = False) -> Step:
    """Return what encoding so many texts takes; its process loads the model once (``started``: before)."""
    of: TextRate = rate.documents if part == DOCUMENTS else rate.queries
    seconds = (0.0 if started else rate.start) + texts * of.seconds
    return Step(seconds, rate.memory, texts * of.bytes, basis=basis, disk_basis=basis)


def dense_encoding(part: str, texts: int, rate: ModelRate, basis: str, started: bool = False) -> Step:
    """Return the same of a dense model; the bytes of its vectors, which are written as they come, are
    counted.
    """
    step = encoding(part, texts, rate, basis, started)
    return replace(step, disk=dense_bytes(texts, round(rate.documents.terms)), disk_basis=COUNTED)


def dense_bytes(texts: int, dimensions: int) -> int:
    """Return the bytes of so many float32 vectors with their ids, numbers from 0, a line each."""
    return texts * (dimensions * FLOAT + len(str(texts)) + 1)


def indexing(units: float, rate: IndexRate, basis: str = MEASURED) -> Step:
    """Return what an index of so many units takes (see ``IndexRate``)."""
    larger = units > rate.measured
    return Step(
        rate.start + rate.seconds.at(units),
        rate.most if larger else rate.memory,
        rate.bytes.at(units),
        rate.scratch.at(units),
        basis,
        basis,
        ceiling=larger and rate.most > rate.memory,
    )


def dense_indexing(documents: int, dimensions: int, rate: IndexRate) -> Step:
    """Return what a FAISS index takes: a flat one is a link to the embeddings and leaves nothing; of others,
    some embeddings are mapped and copied at a time.
    """
    step = indexing(documents * dimensions, rate)
    held = 3 * min(documents, ROWS) * dimensions * FLOAT  # mapped, copied, halved and written
    return replace(step, memory=rate.memory + held)


def searching(
    queries: int, units: float, hits: int, rate: SearchRate, runs: RunRate, basis: str, at_most: bool = False
) -> Step:
    """Return what searching takes, each query visiting so many units, and the run that is written."""
    if rate.unclear and units > rate.measured:
        return unknown(rate.unclear)
    return _written(queries, rate.start, rate.seconds.at(units), rate.memory, hits, runs, basis, at_most)


def dense_searching(
    queries: int, documents: int, dimensions: int, hits: int, rate: SearchRate, runs: RunRate, basis: str
) -> Step:
    """Return the same of dense vectors: what does not grow with them is done in each block."""
    if rate.unclear and documents * dimensions > rate.measured:
        return unknown(rate.unclear)
    blocks = -(-documents * dimensions * FLOAT // BLOCK_BYTES)
    fixed = blocks * rate.seconds.fixed * dimensions / rate.dimensions
    seconds = fixed + documents * dimensions * rate.seconds.slope
    memory = dense_memory(documents, queries, dimensions, hits, rate.memory)
    return _written(queries, rate.start, seconds, memory, hits, runs, basis, False)


def _written(
    queries: int, start: float, query: float, memory: int, hits: int, runs: RunRate, basis: str, at_most: bool
) -> Step:
    seconds = start + queries * (query + hits * runs.writing)
    return Step(seconds, memory, queries * hits * runs.bytes, basis=basis, at_most=at_most)


def unknown(reason: str) -> Step:
    """Return a step of which nothing can be told."""
    return Step(seconds=None, disk=None, unknown=reason)


def dense_memory(documents: int, queries: int, dimensions: int, hits: int, base: int) -> int:
    """Return the peak of a dense search: two blocks of vectors, hits and docids, beside its libraries."""
    blocks = 2 * min(BLOCK_BYTES, documents * dimensions * FLOAT)
    return base + blocks + HIT_BYTES * hits * min(queries, TOGETHER) + DOCID_BYTES * documents


def fusing(queries: int, hits: int, parts: int, runs: RunRate) -> Step:
    """Return what fusing the runs of so many parts takes."""
    lines = queries * hits
    return Step(runs.start + parts * lines * runs.fusing, runs.memory, lines * runs.bytes)


def evaluating(queries: int, hits: int, runs: RunRate) -> Step:
    """Return what evaluating a run takes; it leaves nothing."""
    return Step(queries * hits * runs.evaluating, runs.memory)
