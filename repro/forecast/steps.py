"""The arithmetic of a forecast: what each stage takes, from rates and numbers of texts; rows and sums."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from repro.dense.stored import BLOCK_BYTES
from repro.engines.protocol import WINDOW
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
    current, and takes nothing.
    """

    seconds: float | None = 0.0
    memory: int = 0
    disk: float | None = 0.0
    scratch: float = 0.0
    basis: str = MEASURED
    disk_basis: str = MEASURED
    done: bool = False
    unknown: str = ""


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
    beside it at a time, memory the greatest peak. Steps that are not known count nothing.
    """

    seconds: float
    disk: float
    scratch: float
    memory: int


def total(rows: Iterable[Row], common: float = 0.0) -> Total:
    """Return what rows take together, with ``common`` seconds of what is done once for all of them."""
    steps = {key: step for row in rows for key, step in row.steps.items()}.values()
    return Total(
        seconds=common + sum(step.seconds or 0 for step in steps),
        disk=sum(step.disk or 0 for step in steps),
        scratch=max((step.scratch for step in steps), default=0.0),
        memory=max((step.memory for step in steps), default=0),
    )


def fitting(rows: Sequence[Row], seconds: float, common: float = 0.0) -> list[Row]:
    """Return the rows that can be made in so many seconds together, in their order: the quick ones first.

    A row of which a step is not known is none of them.
    """
    taken: list[Row] = []
    known = [row for row in rows if row.steps and not any(step.unknown for step in row.steps.values())]
    for row in sorted(known, key=lambda row: total([row]).seconds):
        if total([*taken, row], common).seconds <= seconds:
            taken.append(row)
    return [row for row in rows if row in taken]


def encoding(part: str, texts: int, rate: ModelRate, basis: str, started: bool = False) -> Step:
    """Return what encoding so many texts takes; its process loads the model once (``started``: before)."""
    of: TextRate = rate.documents if part == DOCUMENTS else rate.queries
    seconds = (0.0 if started else rate.start) + texts * of.seconds
    return Step(seconds, rate.memory, texts * of.bytes, basis=basis, disk_basis=basis)


def dense_encoding(part: str, texts: int, rate: ModelRate, basis: str, started: bool = False) -> Step:
    """Return the same of a dense model, which holds some vectors twice at a time; its bytes are counted."""
    dimensions, held = round(rate.documents.terms), min(texts, WINDOW)
    step = encoding(part, texts, rate, basis, started)
    memory = rate.memory + 2 * held * dimensions * FLOAT
    return Step(step.seconds, memory, dense_bytes(texts, dimensions), basis=basis, disk_basis=COUNTED)


def dense_bytes(texts: int, dimensions: int) -> int:
    """Return the bytes of so many float32 vectors with their ids, numbers from 0, a line each."""
    return texts * (dimensions * FLOAT + len(str(texts)) + 1)


def indexing(units: float, rate: IndexRate, basis: str = MEASURED) -> Step:
    """Return what an index of so many units takes (see ``IndexRate``)."""
    memory = rate.most if units > rate.measured else rate.memory
    scratch = rate.scratch.at(units)
    seconds = rate.start + rate.seconds.at(units)
    return Step(seconds, memory, rate.bytes.at(units), scratch, basis, basis)


def dense_indexing(documents: int, units: float, rate: IndexRate) -> Step:
    """Return what a FAISS index takes: a flat one is a link to the embeddings and leaves nothing; of others,
    some embeddings are mapped and copied at a time.
    """
    step, dimensions = indexing(units, rate), units / documents
    held = round(3 * min(documents, ROWS) * dimensions * FLOAT)  # mapped, copied, halved and written
    return Step(step.seconds, rate.memory + held, step.disk)


def searching(queries: int, units: float, hits: int, rate: SearchRate, runs: RunRate, basis: str) -> Step:
    """Return what searching takes, each query visiting so many units, and the run that is left."""
    seconds = rate.start + queries * rate.seconds.at(units)
    return Step(seconds, rate.memory, queries * hits * runs.bytes, basis=basis)


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


def like(rate: ModelRate, reference: ModelRate, terms: float) -> ModelRate:
    """Return the rates of random weights with the sizes of a trained SPLADE model, by the number of ``terms``
    of a passage: bytes a term, a query's vector and the terms that it shares are the trained model's.
    """
    more = terms / reference.documents.terms
    of, queries = reference.documents, reference.queries
    documents = TextRate(rate.documents.texts, rate.documents.seconds, of.bytes * more, terms)
    asked = TextRate(rate.queries.texts, rate.queries.seconds, queries.bytes, queries.terms)
    shared = None if reference.overlap is None else reference.overlap * more
    return ModelRate(rate.start, rate.memory, documents, asked, shared)
