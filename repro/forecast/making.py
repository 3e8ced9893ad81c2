"""A table's forecast: from its request to rows of steps, of the list of what is needed that the table has."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from repro.base.errors import InputError
from repro.base.memory import free_memory
from repro.collections.opening import open_collection
from repro.collections.scan import known_summary
from repro.forecast import steps as of_steps
from repro.forecast.calibration import Calibration, calibrate
from repro.forecast.earlier import Earlier, encoded_earlier, searched_earlier
from repro.forecast.rates import EARLIER, MEASURED, ModelRate
from repro.forecast.sizes import Corpora, Size, size_of
from repro.forecast.steps import DOCUMENTS, DONE, EVALUATE, INDEX, QUERIES, SEARCH, Key, Row, Step
from repro.models.systems import System
from repro.models.weights import NoWeights, resolve
from repro.pipeline.planning import Needed, TableRequest, expected

NO_VECTORS = "there is no model here whose vectors could be indexed"
HNSW = "what a graph (--faiss hnsw) takes does not grow linearly"
RERANKS = "what a cross-encoder takes is not measured"


@dataclass(frozen=True)
class Forecast:
    """What a table takes: ``common`` seconds are those of reading the corpus through; ``free_disk`` and
    ``free_memory`` are bytes at ``work`` and on the machine, ``busy`` the processes for each processor that
    ran before anything was measured.
    """

    sizes: list[Size]
    rows: list[Row]
    common: float
    work: Path
    free_disk: int
    free_memory: int
    busy: float


def forecast(request: TableRequest) -> Forecast:
    """Return what the table of a request takes. Nothing is fetched, and nothing written to --work.

    InputError if a collection cannot be counted, or the calibration fails.
    """
    if request.table.check or request.table.dry_run:
        other = "--check" if request.table.check else "--dry-run"
        raise InputError(f"--plan and {other} contradict each other; give one")
    requests, corpora = request.of_sets(), Corpora()
    needs = expected(requests, corpora.summary)
    sizes = {name: _size(of_set, corpora) for name, of_set in requests.items()}
    leaves = {
        leaf.system.name: leaf.system for of_set in needs.values() for leaf in _leaves(of_set) if leaf.run
    }
    first = next(iter(sizes.values()))
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    calibration = calibrate(request, list(leaves.values()), first)
    rows = _rows(request, needs, sizes, calibration)
    read = known_summary(first.collection, request.work.work) is not None
    common = calibration.runs.start + (0 if read else first.documents * calibration.runs.reading)
    place = request.work.work.absolute()
    folder = next(p for p in (place, *place.parents) if p.exists())
    disk, memory = shutil.disk_usage(folder).free, free_memory()
    return Forecast(list(sizes.values()), rows, common, folder, disk, memory, busy)


def _size(request: TableRequest, corpora: Corpora) -> Size:
    of, work = request.collection, request.work.work
    collection = open_collection(of.collection, of.split, work, claim=False)
    return size_of(collection, corpora.summary(collection, work))


def _leaves(needs: Iterable[Needed]) -> Iterator[Needed]:
    """Yield the systems that search an index of their own, those that others combine among them."""
    for need in needs:
        if need.parts:
            yield from _leaves(need.parts)
        else:
            yield need


def _rows(
    request: TableRequest, needs: dict[str, list[Needed]], sizes: dict[str, Size], calibration: Calibration
) -> list[Row]:
    """Return a row for each system, with its steps on all query sets."""
    rows: dict[str, Row] = {}
    for set_name, of_set in needs.items():
        for need in of_set:
            scaling = Scaling(request, set_name, sizes[set_name], calibration)
            row = rows.setdefault(need.name, Row(need.system.name, need.system.kind, missing=_missing(need)))
            for key, step in scaling.steps(need).items():
                row.steps.setdefault(key, step)
            row.steps[Key(EVALUATE, need.system.name, set_name)] = scaling.evaluate()
    return list(rows.values())


def _missing(need: Needed) -> str:
    """Return why the weights of a row are not at hand; empty if they are."""
    for leaf in _leaves([need]):
        try:
            resolve(leaf.system, download=False) if leaf.system.kind != "bm25" else None
        except NoWeights as error:
            return str(error)
    return ""


@dataclass(frozen=True)
class Scaling:
    """A query set's size and the calibration, from which the steps of a system follow."""

    request: TableRequest
    of_set: str
    size: Size
    calibration: Calibration

    @property
    def hits(self) -> int:
        """Documents of a query in a run."""
        return min(self.request.systems.search.hits, self.size.documents)

    def evaluate(self) -> Step:
        """Return what evaluating one run takes."""
        return of_steps.evaluating(self.size.queries, self.hits, self.calibration.runs)

    def steps(self, need: Needed) -> dict[Key, Step]:
        """Return the steps of a system, those of its parts first."""
        run = Key(SEARCH, need.system.name, self.of_set)
        if need.parts:
            found = {key: step for part in need.parts for key, step in self.steps(part).items()}
            return found | {run: self._combining(need) if need.run else DONE}
        index = Key(INDEX, "bm25" if need.system.kind == "bm25" else need.system.indexed.name)
        if need.system.kind == "bm25":
            return {
                index: self._bm25_index() if need.index else DONE,
                run: self._bm25(need) if need.run else DONE,
            }
        documents = Key(DOCUMENTS, need.system.indexed.name)
        queries = Key(QUERIES, need.system.name, self.of_set)
        if not need.run:
            return dict.fromkeys((documents, queries, index, run), DONE)
        rate = self.calibration.models[need.system.name]
        if isinstance(rate, str):
            step = Step(seconds=None, disk=None, unknown=rate)
            return dict.fromkeys((documents, queries, index, run), step)
        started = need.documents or need.system.documents_of is not None
        return {
            documents: self._encode(need, DOCUMENTS, rate) if need.documents else DONE,
            queries: self._encode(need, QUERIES, rate, started) if need.queries else DONE,
            index: self._index(need, rate) if need.index else DONE,
            run: self._search(need, rate),
        }

    def _encode(self, need: Needed, part: str, rate: ModelRate, started: bool = False) -> Step:
        texts = self.size.documents if part == DOCUMENTS else self.size.queries
        basis, earlier = self.calibration.basis[need.system.name], self._earlier(need.system, part)
        if earlier is not None:
            of = rate.documents if part == DOCUMENTS else rate.queries
            of = replace(of, texts=earlier.items, seconds=earlier.seconds)
            rate = replace(rate, documents=of) if part == DOCUMENTS else replace(rate, queries=of)
        encoding = of_steps.dense_encoding if need.system.kind == "dense" else of_steps.encoding
        step = encoding(part, texts, rate, basis, started)
        return replace(step, basis=EARLIER) if earlier else step

    def _earlier(self, system: System, part: str) -> Earlier | None:
        work, collection = self.request.work, self.size.collection
        with contextlib.suppress(NoWeights):
            weights = resolve(system, download=False)
            precision = self.request.systems.encoding.precision
            own = collection.corpus if self.size.own_texts else None
            return encoded_earlier(work.work, part, system, weights, work.threads, precision, own)
        return None

    def _index(self, need: Needed, rate: ModelRate) -> Step:
        units = self.size.documents * rate.documents.terms
        basis = self.calibration.basis[need.system.name]
        if need.system.kind != "dense":
            rates = self.calibration.impacts
            return of_steps.indexing(units, rates[0], basis) if rates else _unknown(NO_VECTORS)
        rates = self.calibration.dense.get(round(rate.documents.terms))
        return of_steps.dense_indexing(self.size.documents, units, rates[0]) if rates else _unknown(HNSW)

    def _search(self, need: Needed, rate: ModelRate) -> Step:
        documents, queries, runs = self.size.documents, self.size.queries, self.calibration.runs
        basis = self.calibration.basis[need.system.name]
        if need.system.kind != "dense":
            rates, shared = self.calibration.impacts, rate.overlap
            if rates is None or shared is None:
                return _unknown(NO_VECTORS)
            step = of_steps.searching(queries, documents * shared, self.hits, rates[1], runs, basis)
        else:
            dimensions = round(rate.documents.terms)
            rates = self.calibration.dense.get(dimensions)
            if rates is None:
                return _unknown(HNSW)
            step = of_steps.searching(queries, documents, self.hits, rates[1], runs, basis)
            base = rates[1].memory
            memory = of_steps.dense_memory(documents, queries, dimensions, self.hits, base)
            step = replace(step, memory=memory)
        return self._as_before(need, step)

    def _bm25_index(self) -> Step:
        rates = self.calibration.bm25
        return of_steps.indexing(self.size.documents, rates[0]) if rates else _unknown(NO_VECTORS)

    def _bm25(self, need: Needed) -> Step:
        rates, size = self.calibration.bm25, self.size
        if rates is None:
            return _unknown(NO_VECTORS)
        runs = self.calibration.runs
        step = of_steps.searching(size.queries, size.documents, self.hits, rates[1], runs, MEASURED)
        return self._as_before(need, step)

    def _as_before(self, need: Needed, step: Step) -> Step:
        """Return the step, its time that of an earlier run on the same index, if there is one."""
        earlier = searched_earlier(need.of, self.request.work.threads) if need.of and not need.index else None
        return replace(step, seconds=self.size.queries * earlier.seconds, basis=EARLIER) if earlier else step

    def _combining(self, need: Needed) -> Step:
        if need.system.reranker:
            return _unknown(RERANKS)
        return of_steps.fusing(self.size.queries, self.hits, len(need.parts), self.calibration.runs)


def _unknown(reason: str) -> Step:
    return Step(seconds=None, disk=None, unknown=reason)
