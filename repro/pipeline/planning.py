"""What a table needs: its request, for one query set or several, and the stages that bring a system's run
up to date.
"""

import contextlib
import itertools
from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

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
from repro.cli.shown_options import CorrectionOption, ShownOptions
from repro.cli.stages import Stage, stage
from repro.cli.topics_options import TopicsOptions, query_sets
from repro.collections.model import Collection
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, known_summary
from repro.engines import ENGINES, option_groups
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


def stages(
    request: TableRequest,
    name: str,
    of: SystemArtifacts,
    topics_known: bool = True,
    corpus_made: bool = False,
    every: bool = False,
) -> list[Stage]:
    """Return the stages that bring a system's run up to date, in order.

    Without ``topics_known``, the queries are not read, and what depends on them counts as outdated. With
    ``corpus_made``, the stages for another query set encode and index the corpus. With ``every``, what is
    current is listed, too.
    """
    force, encodes = request.work.force or every, of.engine.encodes
    if of.parts:
        made = [
            stage
            for part_name, part in zip(part_names(name), of.parts)
            for stage in stages(request, part_name, part, topics_known, corpus_made, every)
        ]
        run = force or made or not topics_known or not of.run.is_current()
        return [*made, _stage(request, "repro.search", name, of.system)] if run else []
    documents = encodes and not corpus_made and (force or not of.documents.is_current())
    queries = encodes and (force or not topics_known or not of.queries.is_current())
    index = not corpus_made and (force or documents or not of.index.is_current())
    run = force or index or queries or not topics_known or not of.run.is_current()
    weighs = of.engine.encodes and of.engine.weighs_by_index
    needed = {
        "repro.encode": documents or (queries and not weighs),
        "repro.index": index,
        # without --force, repro.search has them encoded, once there is an index
        QUERIES: force and weighs,
        "repro.search": run,
    }
    return [
        _stage(request, module, name, of.system, corpus_made)
        for module, required in needed.items()
        if required
    ]


def _stage(request: TableRequest, module: str, name: str, system: System, corpus_made: bool = False) -> Stage:
    """Return a stage with the options that it takes of those that the system's engine reads."""
    options = request.systems
    groups: dict[str, list[EncodingOptions | Bm25Options | DenseOptions | SearchOptions]] = {
        "repro.encode": [options.encoding],
        "repro.index": [options.encoding, options.dense],
        QUERIES: [options.encoding],
        "repro.search": [options.encoding, options.bm25, options.dense, options.search],
    }
    own = [group for group in groups[module] if isinstance(group, option_groups(system))]
    common = ["--collection", request.collection.collection]
    common += ["--split", request.collection.split] if request.collection.split else []
    common += ["--only", "queries"] if module == "repro.encode" and corpus_made else []
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
    made: set[str] = set()
    for request in requests.values():
        systems, _ = systems_of(request)
        yield from _expected_on(request, systems, made)
        made |= systems.keys()


def _expected_on(request: TableRequest, systems: dict[str, System], made: Names[str]) -> Iterator[Stage]:
    """Yield the stages that would run, as far as that is known without fetching or reading the corpus or a
    model. The stages for another query set encode and index the corpus for the systems in ``made``.
    """
    spec, split = request.collection.collection, request.collection.split
    collection = open_collection(spec, split, request.work.work, claim=False)
    summary = known_summary(collection, request.work.work)
    if summary is None and not made:
        note(f"{collection.corpus} was not read yet: what is there may turn out to be current")
    if summary is not None and not collection.source.local:
        note(f"{collection.name}: its queries are not read, so they count as new")
    for name in systems:
        yield from _expected_stages_of(name, request, collection, summary, name in made)


def _expected_stages_of(
    name: str, request: TableRequest, collection: Collection, summary: CorpusSummary | None, made: bool
) -> Iterator[Stage]:
    """Yield the stages of one system; those of its parts, if it combines some, as far as they are known."""
    system, known_topics = find_system(name), collection.source.local
    if summary is not None:
        known = None
        with contextlib.suppress(NoWeights):
            corpus = Corpus(collection, summary)
            known = artifacts_of(system, corpus, request.work, request.systems, request.runs, download=False)
        if known is not None:
            yield from stages(request, name, known, known_topics, made)
            return
        note(f"{name}: its model is not on this machine; a run will ask the Hub for it")
    for part in part_names(name):
        yield from _expected_stages_of(part, request, collection, summary, made)
    engine = ENGINES[system.kind]
    modules = ["repro.encode"] if engine.encodes and not (made and engine.weighs_by_index) else []
    modules += [] if engine.combines or made else ["repro.index"]
    modules += [QUERIES] if engine.encodes and engine.weighs_by_index and request.work.force else []
    for module in [*modules, "repro.search"]:
        yield _stage(request, module, name, system, made)
