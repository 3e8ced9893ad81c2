"""What a table needs: its request, for one query set or several, and the stages that bring a system's run
up to date.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Collection as Names
from dataclasses import dataclass, replace
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    MeasureOptions,
    RunsOptions,
    SearchOptions,
    SystemOption,
    SystemOptions,
    TableOptions,
    WorkOptions,
)
from repro.cli.plan_options import PlanOptions
from repro.cli.shown_options import CorrectionOption, ShownOptions
from repro.cli.stages import Stage, stage
from repro.cli.topics_options import TopicsOptions, query_sets
from repro.collections.model import Collection
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, known_summary
from repro.engines import ENGINES, deciding
from repro.models.systems import (
    System,
    find_system,
    part_names,
    single_names,
    table_systems,
)
from repro.models.trained import trained_on
from repro.models.weights import NoWeights
from repro.pipeline.opening import Corpus, artifacts_of

ReadCorpus = Callable[[Collection, Path], CorpusSummary | None]
QUERIES = "repro.encode --only queries"
"""The stage that encodes a document-only system's queries, after its index."""


@dataclass(frozen=True)
class TableRequest:
    """What is to be measured, how, and where it goes."""

    collection: CollectionOptions
    systems: SystemOptions
    work: WorkOptions
    runs: RunsOptions
    measures: MeasureOptions
    table: TableOptions
    topics: TopicsOptions = TopicsOptions()
    shown: ShownOptions = ShownOptions()
    correction: CorrectionOption = CorrectionOption()
    planned: PlanOptions = PlanOptions()

    def of_sets(self) -> dict[str, "TableRequest"]:
        """Return the request for each query set, by its name in ``--topics``; without it, this one."""
        sets = query_sets(self.collection, self.topics)
        return {name: replace(self, collection=of, topics=TopicsOptions()) for name, of in sets.items()}


def systems_of(request: TableRequest) -> tuple[dict[str, System], list[str]]:
    """Return the systems of a query set's table by their names, and those names that were trained here.

    InputError if the baseline is none of them.
    """
    trained = [] if request.table.systems else trained_on(request.collection, request.work.work)
    systems = {name: find_system(name) for name in [*_named(request), *trained]}
    baseline = request.shown.baseline
    if baseline is not None and baseline not in systems:
        raise InputError(f"--baseline {baseline}: expected a system of the table: {', '.join(systems)}")
    return systems, trained


def _named(request: TableRequest) -> list[str]:
    """Return what the rows are called that were asked for, or those of every table."""
    names = request.table.systems
    return [name.strip() for name in names.split(",")] if names else list(table_systems())


@dataclass(frozen=True)
class Needed:
    """What brings a system's run on a query set up to date: which of its artifacts are to be made, and the
    stages that make them, in order, after those of its ``parts``.

    ``of`` are the artifacts, None as long as the corpus was not read or the weights are not at hand; then
    all counts as missing.
    """

    name: str
    system: System
    of: SystemArtifacts | None
    parts: tuple["Needed", ...]
    documents: bool
    queries: bool
    index: bool
    run: bool
    own: tuple[Stage, ...]

    @property
    def stages(self) -> list[Stage]:
        """All stages, those of the parts first."""
        return [*itertools.chain.from_iterable(part.stages for part in self.parts), *self.own]


def needed(
    request: TableRequest,
    name: str,
    of: SystemArtifacts | None,
    topics_known: bool = True,
    corpus_made: bool = False,
    every: bool = False,
    parts: tuple[Needed, ...] = (),
) -> Needed:
    """Return what a system's run needs.

    Without ``topics_known``, the queries are not read, and what depends on them counts as outdated. With
    ``corpus_made``, the stages for another query set encode and index the corpus. With ``every``, what is
    current is listed, too. ``parts`` are those of a system without ``of``.
    """
    force, system = request.work.force or every, of.system if of else find_system(name)
    engine = ENGINES[system.kind]
    if engine.combines:
        if of:
            parts = tuple(
                needed(request, part_name, part, topics_known, corpus_made, every)
                for part_name, part in zip(part_names(name), of.parts)
            )
        made = any(part.stages for part in parts)
        run = of is None or force or made or not topics_known or not of.run.is_current()
        search = [_stage(request, "repro.search", name, system)] if run else []
        return Needed(name, system, of, parts, False, False, False, run, tuple(search))
    documents = engine.encodes and not corpus_made and (of is None or force or not of.documents.is_current())
    queries = engine.encodes and (of is None or force or not topics_known or not of.queries.is_current())
    index = not corpus_made and (of is None or force or documents or not of.index.is_current())
    run = of is None or force or index or queries or not topics_known or not of.run.is_current()
    weighs = engine.encodes and engine.weighs_by_index
    laid_out = of is not None and not index and of.postings is not None and of.postings.is_current()
    lay_out = run and request.table.postings and engine.has_impacts and not (corpus_made or laid_out)
    modules = {
        "repro.encode": documents or (queries and not weighs),
        "repro.index": index or lay_out,
        # without --force, repro.search has them encoded, once there is an index
        QUERIES: force and weighs,
        "repro.search": run,
    }
    own = tuple(
        _stage(request, module, name, system, corpus_made, lay_out)
        for module, required in modules.items()
        if required
    )
    return Needed(name, system, of, (), documents, queries, index, run, own)


def stages(
    request: TableRequest, name: str, of: SystemArtifacts, corpus_made: bool = False, every: bool = False
) -> list[Stage]:
    """Return the stages that bring a system's run up to date, in order; the options are ``needed``'s."""
    return needed(request, name, of, True, corpus_made, every).stages


def _stage(
    request: TableRequest,
    module: str,
    name: str,
    system: System,
    corpus_made: bool = False,
    lay_out: bool = False,
) -> Stage:
    """Return a stage with the options that it takes of those that the system's engine reads."""
    groups: dict[str, tuple[type, ...]] = {
        "repro.encode": (EncodingOptions,),
        "repro.index": (EncodingOptions, DenseOptions),
        QUERIES: (EncodingOptions,),
        "repro.search": (EncodingOptions, Bm25Options, DenseOptions, SearchOptions),
    }
    own = [group for group in deciding(system, request.systems) if type(group) in groups[module]]
    common = ["--collection", request.collection.collection]
    common += ["--split", request.collection.split] if request.collection.split else []
    common += ["--only", "queries"] if module == "repro.encode" and corpus_made else []
    common += ["--postings"] if module == "repro.index" and lay_out else []
    if module in ("repro.encode", "repro.index") and system.documents_of:
        # One with a run of its own, as a row or a part of one, encodes its queries, too: by the same stage.
        singles = itertools.chain.from_iterable(map(single_names, _named(request)))
        indexed = system.documents_of.spec
        shared = next((single for single in singles if find_system(single).spec == indexed), None)
        common += ["--only", "documents"] if module == "repro.encode" and not shared else []
        name = shared or indexed
    if module == QUERIES:
        module, common = "repro.encode", [*common, "--only", "queries"]
    runs = [request.runs] if module == "repro.search" else []
    return stage(module, *common, SystemOption(name), *own, *runs, request.work)


def expected_stages(requests: Mapping[str, TableRequest]) -> Iterator[Stage]:
    """Yield the stages that would run for several query sets."""
    for of_set in expected(requests).values():
        for system in of_set:
            yield from system.stages


def expected(
    requests: Mapping[str, TableRequest], read: ReadCorpus = known_summary
) -> dict[str, list[Needed]]:
    """Return what each query set's systems need, by the set's name in ``requests``.

    ``read`` returns what is known of a corpus, None if that is nothing. Nothing is fetched, and nothing
    written.
    """
    made: set[str] = set()
    found = {}
    for set_name, request in requests.items():
        systems, _ = systems_of(request)
        found[set_name] = list(_expected_on(request, systems, made, read))
        made |= systems.keys()
    return found


def _expected_on(
    request: TableRequest, systems: dict[str, System], made: Names[str], read: ReadCorpus
) -> Iterator[Needed]:
    """Yield what systems need, as far as that is known without fetching or reading the corpus or a model. The
    stages for another query set encode and index the corpus for the systems in ``made``.
    """
    spec, split = request.collection.collection, request.collection.split
    collection = open_collection(spec, split, request.work.work, claim=False)
    summary = read(collection, request.work.work)
    if summary is None and not made:
        note(f"{collection.corpus} was not read yet: what is there may turn out to be current")
    if summary is not None and not collection.source.local:
        note(f"{collection.name}: its queries are not read, so they count as new")
    for name in systems:
        yield _expected_of(name, request, collection, summary, name in made)


def _expected_of(
    name: str, request: TableRequest, collection: Collection, summary: CorpusSummary | None, made: bool
) -> Needed:
    """Return what one system needs; of what combines some, also what these need, as far as it is known."""
    if summary is not None:
        known = None
        with contextlib.suppress(NoWeights):
            corpus, system = Corpus(collection, summary), find_system(name)
            known = artifacts_of(system, corpus, request.work, request.systems, request.runs, download=False)
        if known is not None:
            return needed(request, name, known, collection.source.local, made)
        note(f"{name}: its model is not on this machine; a run will ask the Hub for it")
    parts = tuple(_expected_of(part, request, collection, summary, made) for part in part_names(name))
    return needed(request, name, None, False, made, parts=parts)
