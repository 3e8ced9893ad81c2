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
from repro.engines import of_encoding
from repro.forecast import steps as of_steps
from repro.forecast.calibration import REFERENCES, Calibration, calibrate
from repro.forecast.earlier import Earlier, encoded_earlier, searched_earlier
from repro.forecast.rates import EARLIER, MEASURED, ModelRate
from repro.forecast.sizes import Corpora, Size, size_of
from repro.forecast.steps import DOCUMENTS, DONE, EVALUATE, INDEX, QUERIES, SEARCH, Key, Row, Step, unknown
from repro.models.systems import System, table_systems
from repro.models.weights import NoWeights, Weights, resolve
from repro.pipeline.planning import Needed, TableRequest, expected
from repro.pipeline.searching import COMPILED, scorer_of

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


@dataclass(frozen=True)
class AtHand:
    """The weights that are on this machine, by the names of systems, and why others are not."""

    weights: dict[str, Weights]
    missing: dict[str, str]


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
    leaves = {leaf.system.name: leaf for of_set in needs.values() for leaf in _leaves(of_set)}
    made = [leaf.system for of_set in needs.values() for leaf in _leaves(of_set) if leaf.run]
    at_hand = _at_hand([leaf.system for leaf in leaves.values()])
    first = next(iter(sizes.values()))
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    systems = list({system.name: system for system in made}.values())
    calibration = calibrate(request, systems, at_hand.weights, first)
    rows = _rows(request, needs, sizes, calibration, at_hand)
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


def _at_hand(systems: list[System]) -> AtHand:
    found = AtHand({}, {})
    for system in systems:
        if system.kind != "bm25":
            try:
                found.weights[system.name] = resolve(system, download=False)
            except NoWeights as error:
                found.missing[system.name] = str(error)
    for name in REFERENCES if found.missing else ():
        if name not in found.weights:
            with contextlib.suppress(NoWeights):
                found.weights[name] = resolve(table_systems()[name], download=False)
    return found


def _rows(
    request: TableRequest,
    needs: dict[str, list[Needed]],
    sizes: dict[str, Size],
    calibration: Calibration,
    at_hand: AtHand,
) -> list[Row]:
    """Return a row for each system, with its steps on all query sets."""
    rows: dict[str, Row] = {}
    for set_name, of_set in needs.items():
        scaling = Scaling(request, set_name, sizes[set_name], calibration, at_hand.weights)
        for need in of_set:
            reasons = [at_hand.missing.get(leaf.system.name, "") for leaf in _leaves([need])]
            missing = next(filter(None, reasons), "")
            row = rows.setdefault(need.name, Row(need.system.name, need.system.kind, missing=missing))
            for key, step in scaling.steps(need).items():
                row.steps.setdefault(key, step)
            row.steps[Key(EVALUATE, need.system.name, set_name)] = scaling.evaluate()
    return list(rows.values())


@dataclass(frozen=True)
class Scaling:
    """A query set's size and the calibration, from which the steps of a system follow."""

    request: TableRequest
    of_set: str
    size: Size
    calibration: Calibration
    weights: dict[str, Weights]

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
                index: self._indexed(need, None) if need.index else DONE,
                run: self._searched(need, None) if need.run else DONE,
            }
        documents = Key(DOCUMENTS, need.system.indexed.name)
        queries = Key(QUERIES, need.system.name, self.of_set)
        if not need.run:
            return dict.fromkeys((documents, queries, index, run), DONE)
        rate = self.calibration.models[need.system.name]
        if isinstance(rate, str):
            return dict.fromkeys((documents, queries, index, run), unknown(rate))
        started = need.documents or need.system.documents_of is not None
        return {
            documents: self._encoded(need, DOCUMENTS, rate) if need.documents else DONE,
            queries: self._encoded(need, QUERIES, rate, started) if need.queries else DONE,
            index: self._indexed(need, rate) if need.index else DONE,
            run: self._searched(need, rate),
        }

    def _basis(self, need: Needed) -> str:
        return self.calibration.basis.get(need.system.name, MEASURED)

    def _encoded(self, need: Needed, part: str, rate: ModelRate, started: bool = False) -> Step:
        texts = self.size.documents if part == DOCUMENTS else self.size.queries
        earlier = self._earlier(need.system, part)
        if earlier is not None:
            of = rate.documents if part == DOCUMENTS else rate.queries
            of = replace(of, texts=earlier.items, seconds=earlier.seconds)
            rate = replace(rate, documents=of) if part == DOCUMENTS else replace(rate, queries=of)
        encoding = of_steps.dense_encoding if need.system.kind == "dense" else of_steps.encoding
        step = encoding(part, texts, rate, self._basis(need), started)
        return replace(step, basis=EARLIER) if earlier else step

    def _earlier(self, system: System, part: str) -> Earlier | None:
        if system.name not in self.weights:
            return None
        work, precision = self.request.work, of_encoding(system, self.request.systems.encoding).precision
        own = self.size.collection.corpus if self.size.own_texts else None
        return encoded_earlier(
            work.work, part, system, self.weights[system.name], work.threads, precision, own
        )

    def _indexed(self, need: Needed, rate: ModelRate | None) -> Step:
        """Return what indexing takes; ``rate`` is the model's, None of BM25."""
        found, documents = self.calibration, self.size.documents
        if rate is None:
            return of_steps.indexing(documents, found.bm25[0]) if found.bm25 else unknown(NO_VECTORS)
        if need.system.kind == "dense":
            dimensions = round(rate.documents.terms)
            return (
                of_steps.dense_indexing(documents, dimensions, found.dense[0])
                if found.dense
                else unknown(HNSW)
            )
        units = documents * rate.documents.terms
        if found.impacts is None:
            return unknown(NO_VECTORS)
        return of_steps.indexing(units, found.impacts[0], self._basis(need))

    def _searched(self, need: Needed, rate: ModelRate | None) -> Step:
        """Return what searching takes; on an index that is there, what it took an earlier run."""
        step = self._searching(need, rate)
        of, there = need.of, need.of is not None and not need.index
        earlier = searched_earlier(of, self.request.work.threads) if of and there else None
        if earlier:
            seconds, runs = self.size.queries * earlier.seconds, self.calibration.runs
            disk = self.size.queries * self.hits * runs.bytes
            return Step(seconds, step.memory, disk, basis=EARLIER)
        laid_out = of is not None and there and rate is not None and scorer_of(of) == COMPILED
        return replace(step, at_most=True) if laid_out and not self.request.table.postings else step

    def _searching(self, need: Needed, rate: ModelRate | None) -> Step:
        documents, queries, found = self.size.documents, self.size.queries, self.calibration
        hits, runs, basis = self.hits, found.runs, self._basis(need)
        if (
            rate is None
        ):  # Lucene passes over what cannot be among the hits, in larger indexes than were measured
            if found.bm25 is None:
                return unknown(NO_VECTORS)
            return of_steps.searching(queries, documents, hits, found.bm25[1], runs, basis, at_most=True)
        if need.system.kind == "dense":
            dimensions = round(rate.documents.terms)
            if found.dense is None:
                return unknown(HNSW)
            return of_steps.dense_searching(queries, documents, dimensions, hits, found.dense[1], runs, basis)
        if found.impacts is None or rate.overlap is None:
            return unknown(NO_VECTORS)
        return of_steps.searching(queries, documents * rate.overlap, hits, found.impacts[1], runs, basis)

    def _combining(self, need: Needed) -> Step:
        if need.system.reranker:
            return unknown(RERANKS)
        return of_steps.fusing(self.size.queries, self.hits, len(need.parts), self.calibration.runs)
