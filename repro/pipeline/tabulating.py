"""The table of a collection: run the stages that are needed, each as a process, then evaluate the runs and
report.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
from repro.cli.stages import Stage, StageFailed, stage
from repro.collections.model import Collection, Qrels, judgments_checksum
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, known_summary, warn_of_unknown
from repro.engines import ENGINES, option_groups
from repro.evaluation.measures import Measure
from repro.evaluation.standards import measures_of
from repro.models.systems import System, find_system, part_names, table_systems
from repro.models.trained import trained_on
from repro.models.weights import NoWeights
from repro.pipeline.opening import Corpus, artifacts_of, open_corpus
from repro.report import results
from repro.report.tables import write_table


@dataclass(frozen=True)
class TableRequest:
    """What is to be measured, how, and where it goes."""

    collection: CollectionOptions
    systems: SystemOptions
    work: WorkOptions
    runs: RunsOptions
    measures: MeasureOptions
    table: TableOptions


def tabulate(request: TableRequest) -> int:
    """Bring the systems' runs up to date, then write the table; 1 if a system that could be run failed."""
    names = request.table.systems.split(",") if request.table.systems else list(table_systems())
    trained = [] if request.table.systems else trained_on(request.collection, request.work.work)
    systems = {name.strip(): find_system(name.strip()) for name in [*names, *trained]}
    if request.table.dry_run:
        for needed in dict.fromkeys(_expected_stages(request, systems)):
            print(needed)
        return 0
    corpus = open_corpus(request.collection, request.work)
    qrels = corpus.collection.qrels()
    warn_of_unknown(corpus.collection, qrels, request.work.work)
    official = corpus.collection.official_measures()
    measures = measures_of(official, request.measures, corpus.summary.documents)
    opened, reasons = _opened(request, corpus, systems)
    failed = _run_stages(request, opened)
    reasons |= failed
    rows = {
        name: results.not_run(system, name, reasons[name])
        if name in reasons
        else _measured(opened[name], name, qrels, measures, request.work.wait)
        for name, system in systems.items()
        if name in reasons or name in opened
    }
    default = request.systems == SystemOptions() and request.measures == MeasureOptions()
    table = results.Table(
        collection=corpus.collection.name,
        queries=len(qrels),
        measures=measures,
        rows=list(rows.values()),
        dataset=None if corpus.collection.source.local else request.collection.collection,
        corpus=corpus.summary,
        judgments=judgments_checksum(qrels),
        options=request.systems,
        # README's tables are the same on every machine: for the defaults, and without models trained here.
        shown=tuple(row.system for name, row in rows.items() if default and name not in trained),
    )
    write_table(table, request.table.tables)
    return int(bool(failed))


def _opened(
    request: TableRequest, corpus: Corpus, systems: Mapping[str, System]
) -> tuple[dict[str, SystemArtifacts], dict[str, str]]:
    """Return the artifacts of the systems whose weights are found, and why the others have none, by name.

    A model that is named twice has one row. InputError if two models would share artifacts.
    """
    opened: dict[str, SystemArtifacts] = {}
    reasons: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name, system in systems.items():
        try:
            of = artifacts_of(system, corpus, request.work, request.systems, request.runs)
        except NoWeights as error:
            reasons[name] = str(error)
            continue
        first = labels.setdefault(of.system.name, name)
        if first == name:
            opened[name] = of
        elif _same_weights(of, opened[first]):
            note(f"{name} is the same model as {first}: one row")
        else:
            raise InputError(
                f"--systems: {first} and {name} would both be called {of.system.name}; rename one of the "
                "folders"
            )
    return opened, reasons


def _same_weights(one: SystemArtifacts, other: SystemArtifacts) -> bool:
    """Tell whether two systems have models of the same files; of what has no weights there is one only."""
    same = one.weights is None or other.weights is None or one.weights.sha256 == other.weights.sha256
    return same and all(map(_same_weights, one.parts, other.parts))


def _run_stages(request: TableRequest, opened: Mapping[str, SystemArtifacts]) -> dict[str, str]:
    """Run the stages that are needed; return what failed, by name, with the reason.

    InputError at the first failure unless the request is to keep going.
    """
    failed: dict[str, str] = {}
    done: dict[Stage, StageFailed | None] = {}  # systems that are combined may have rows of their own, too
    for name, artifacts in opened.items():
        try:
            for needed in stages(request, name, artifacts):
                if needed not in done:
                    done[needed] = _failure_of(needed)
                if (error := done[needed]) is not None:
                    raise error
        except StageFailed as error:
            if not request.table.keep_going:
                raise InputError(f"{error}; with --keep-going the other systems would go on") from error
            failed[name] = str(error)
            note(f"{name}: {error}; going on with the others")
    return failed


def _failure_of(needed: Stage) -> StageFailed | None:
    """Run a stage; return how it failed, None if it did not."""
    try:
        needed.run()
    except StageFailed as error:
        return error
    return None


def _measured(
    of: SystemArtifacts, spec: str, qrels: Qrels, measures: list[Measure], wait: bool
) -> results.Row:
    """Return a system's row, from artifacts that are current for it; InputError if one is not."""
    with contextlib.ExitStack() as locks:
        for artifact in of.chain():
            locks.enter_context(artifact.reading(wait))
            if not artifact.is_current():
                raise InputError(
                    f"{artifact.path} was replaced by something else while the table was made (by a command "
                    "with other options?); run it again"
                )
        return results.measure(of, spec, qrels, measures)


def stages(request: TableRequest, name: str, of: SystemArtifacts, topics_known: bool = True) -> list[Stage]:
    """Return the stages that bring a system's run up to date, in order.

    Without ``topics_known``, the queries are not read, and what depends on them counts as outdated.
    """
    if of.parts:
        made = [
            stage
            for part_name, part in zip(part_names(name), of.parts)
            for stage in stages(request, part_name, part, topics_known)
        ]
        run = request.work.force or made or not topics_known or not of.run.is_current()
        return [*made, _stage(request, "repro.search", name, of.system)] if run else []
    force, encodes = request.work.force, of.engine.encodes
    documents = encodes and (force or not of.documents.is_current())
    queries = encodes and (force or not topics_known or not of.queries.is_current())
    index = force or documents or not of.index.is_current()
    run = index or queries or not topics_known or not of.run.is_current()
    needed = {"repro.encode": documents or queries, "repro.index": index, "repro.search": run}
    return [_stage(request, module, name, of.system) for module, required in needed.items() if required]


def _stage(request: TableRequest, module: str, name: str, system: System) -> Stage:
    """Return a stage with the options that it takes of those that the system's engine reads."""
    options = request.systems
    groups: dict[str, list[EncodingOptions | Bm25Options | DenseOptions | SearchOptions]] = {
        "repro.encode": [options.encoding],
        "repro.index": [options.encoding, options.dense],
        "repro.search": [options.encoding, options.bm25, options.dense, options.search],
    }
    own = [group for group in groups[module] if isinstance(group, option_groups(system))]
    common = ["--collection", request.collection.collection]
    common += ["--split", request.collection.split] if request.collection.split else []
    runs = [request.runs] if module == "repro.search" else []
    return stage(module, *common, SystemOption(name), *own, *runs, request.work)


def _expected_stages(request: TableRequest, systems: dict[str, System]) -> Iterator[Stage]:
    """Yield the stages that would run, as far as that is known without fetching or reading the corpus or a
    model.
    """
    spec, split = request.collection.collection, request.collection.split
    collection = open_collection(spec, split, request.work.work, claim=False)
    summary = known_summary(collection, request.work.work)
    if summary is None:
        note(f"{collection.corpus} was not read yet: what is there may turn out to be current")
    if summary is not None and not collection.source.local:
        note(f"{collection.name}: its queries are not read, so they count as new")
    for name in systems:
        yield from _expected_stages_of(name, request, collection, summary)


def _expected_stages_of(
    name: str, request: TableRequest, collection: Collection, summary: CorpusSummary | None
) -> Iterator[Stage]:
    """Yield the stages of one system; those of its parts, if it combines some, as far as they are known."""
    system = find_system(name)
    if summary is not None:
        known = None
        with contextlib.suppress(NoWeights):
            corpus = Corpus(collection, summary)
            known = artifacts_of(system, corpus, request.work, request.systems, request.runs, download=False)
        if known is not None:
            yield from stages(request, name, known, topics_known=collection.source.local)
            return
        note(f"{name}: its model is not on this machine; a run will ask the Hub for it")
    for part in part_names(name):
        yield from _expected_stages_of(part, request, collection, summary)
    engine = ENGINES[system.kind]
    modules = ["repro.encode"] if engine.encodes else []
    modules += [] if engine.combines else ["repro.index"]
    for module in [*modules, "repro.search"]:
        yield _stage(request, module, name, system)
