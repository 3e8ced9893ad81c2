"""The calibration of a table's rows: models, indexes and runs are measured, each in a process of its own."""

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from repro.base.errors import InputError
from repro.base.progress import bar
from repro.engines import ENGINES
from repro.forecast.indexes import Rates, measure_dense, measure_lucene
from repro.forecast.models import Known, ModelJob, Texts, like, measure_models, parameters
from repro.forecast.rates import MEASURED, SHAPE, ModelRate, RunRate
from repro.forecast.runs import measure_runs
from repro.forecast.sizes import Size
from repro.models.systems import System, table_systems
from repro.models.weights import Weights
from repro.pipeline.planning import TableRequest
from repro.postings.compiled import unavailable
from repro.report.published import ACTIVE_DIMS

REFERENCES = ("splade-tiny", "all-minilm-l6-v2")
"""Models that install as packages, by which those that are not at hand are told."""
DIMENSIONS = 384
"""Of the vectors with which FAISS is measured: all of it grows with their numbers."""
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Calibration:
    """What was measured. ``models`` has a model's rates by its system's name, or why it has none, ``basis``
    where they come from (``rates``).
    """

    runs: RunRate
    models: dict[str, ModelRate | str] = field(default_factory=dict)
    basis: dict[str, str] = field(default_factory=dict)
    impacts: Rates | None = None
    bm25: Rates | None = None
    dense: Rates | None = None


def calibrate(
    request: TableRequest, systems: Sequence[System], weights: dict[str, Weights], size: Size
) -> Calibration:
    """Measure what ``systems``, none of which combines others, take with texts like the query set's.

    ``weights`` are those at hand, by the names of systems, the references' among them. InputError if a
    process that measures fails, as where Java is missing.
    """
    options, threads = request.systems, request.work.threads
    encoding = [system for system in systems if ENGINES[system.kind].encodes]
    absent = [system for system in encoding if system.name not in weights]
    here = {system.name: system for system in encoding if system.name in weights}
    if absent:
        here |= {name: table_systems()[name] for name in REFERENCES if name in weights}
    trained = [name for name, system in here.items() if system.kind != "dense"]
    indexed = next((name for name in (*REFERENCES, *trained) if name in trained), None)
    jobs = [ModelJob(system, weights[name], name == indexed) for name, system in here.items()]
    dense = any(system.kind == "dense" for system in encoding) and options.dense.faiss != "hnsw"
    bm25 = any(system.kind == "bm25" for system in systems)
    texts = Texts(size.texts, size.topics)
    with (
        tempfile.TemporaryDirectory(prefix="repro-plan-") as folder,
        bar(1 + bool(jobs) + bool(indexed or bm25) + dense, "measuring", "kinds of work") as progress,
    ):

        def place(name: str) -> Path:
            to = Path(folder) / name
            to.mkdir()
            return to

        hits = min(options.search.hits, size.documents)
        found = Calibration(_apart(measure_runs, size.texts, hits, REFERENCES[0], place("runs")))
        progress.update()
        if jobs:
            found.models = _apart(measure_models, jobs, texts, options, threads, place("models"))
            progress.update()
        if indexed or bm25:
            vectors = Path(folder) / "models" / indexed if indexed else None
            if indexed and isinstance(found.models[indexed], str):
                vectors = None
            compiled = request.table.postings and not unavailable()
            topics = (size.texts, size.topics) if bm25 else None
            found.impacts, found.bm25 = _apart(
                measure_lucene, vectors, topics, options, threads, compiled, place("lucene")
            )
            progress.update()
        if dense:
            found.dense = _apart(measure_dense, DIMENSIONS, options, threads, place("dense"))
            progress.update()
    found.basis = dict.fromkeys(found.models, MEASURED) | {system.name: SHAPE for system in absent}
    _scale(found, absent, here, size)
    return found


def _scale(found: Calibration, absent: Sequence[System], here: dict[str, System], size: Size) -> None:
    """Enter the rates of models that are not at hand."""
    known: dict[bool, Known] = {}
    for name, system in here.items():
        rate, shape = found.models[name], system.indexed.shape
        if isinstance(rate, ModelRate) and shape is not None:
            of_kind = known.setdefault(system.kind == "dense", (shape, rate))
            if parameters(shape) > parameters(of_kind[0]):  # the one that is most like those that are larger
                known[system.kind == "dense"] = shape, rate
    words = statistics.fmean(len(text.split()) for _, text in size.topics) if size.topics else 0.0
    for system in absent:
        terms = [of[ACTIVE_DIMS] for of in system.indexed.published.values() if ACTIVE_DIMS in of]
        try:
            rate = like(system, terms[-1] if terms else 0.0, known.get(False), known.get(True), words)
        except InputError as error:
            found.models[system.name] = str(error)
        else:
            found.models[system.name] = rate


def _apart(measure: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return what ``measure`` returns in a process of its own, as a stage has one; InputError if it fails."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, context, initializer=_quiet) as pool:
            return pool.submit(measure, *arguments, **options).result()
    except BrokenProcessPool:
        raise InputError(f"calibrating ({measure.__name__}) failed: its process has ended") from None
    except InputError as error:
        raise InputError(f"calibrating ({measure.__name__}) failed: {error}") from None


def _quiet() -> None:
    """Have libraries and Java print nothing: neither is a line of the plan."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
