"""The table of a collection: run the stages that are needed, each as a process, then evaluate the runs and
report. Of several query sets over one corpus, each has its table, and there is one of them all.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.options import MeasureOptions, SystemOptions
from repro.cli.stages import Stage, StageFailed
from repro.collections.model import Qrels, judgments_checksum
from repro.collections.opening import joint_label
from repro.collections.scan import warn_of_unknown
from repro.evaluation.measures import Measure
from repro.evaluation.standards import measures_of
from repro.models.systems import System
from repro.models.weights import NoWeights
from repro.pipeline.opening import Corpus, artifacts_of, open_corpora
from repro.pipeline.planning import TableRequest, expected_stages, stages, systems_of
from repro.report import results
from repro.report.joint import JointTable, write_joint
from repro.report.tables import write_table


@dataclass
class Progress:
    """What was done for query sets before: the systems that were run, and why some failed on one of them.

    The corpus is encoded and indexed for the first query set that a system is run on.
    """

    run: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tabulated:
    """A query set's table, and what it was measured from.

    Of the systems that were measured, ``artifacts`` and each query's figures (``values``, queries x
    measures), by the names in the table. ``stored`` is what was written of the table as JSON.
    """

    request: TableRequest
    corpus: Corpus
    table: results.Table
    artifacts: dict[str, SystemArtifacts]
    values: dict[str, np.ndarray]
    stored: dict[str, Any] = field(default_factory=dict)


def tabulate(request: TableRequest) -> tuple[list[Tabulated], int]:
    """Bring the systems' runs up to date, then write the table.

    Return what was made of each query set, and 1 if a system that could be run failed. InputError before any
    of it if one of several query sets cannot be measured.
    """
    requests, progress = request.of_sets(), Progress()
    if request.table.dry_run:
        for needed in dict.fromkeys(expected_stages(requests)):
            print(needed)
        return [], 0
    systems = [systems_of(of_set) for of_set in requests.values()]  # a wrong name is told at once
    corpora = open_corpora([of_set.collection for of_set in requests.values()], request.work)
    measured = {
        name: _tabulated(of_set, corpus, *of, progress)
        for (name, of_set), corpus, of in zip(requests.items(), corpora, systems)
    }
    folder, show = request.table.tables, len(measured) == 1
    made = [replace(of, stored=write_table(of.table, folder, show)) for of in measured.values()]
    if len(made) > 1:
        sets = [corpus.collection for corpus in corpora]
        name = joint_label(request.collection.collection, sets, request.work.work)
        write_joint(JointTable(name, {topics: of.table for topics, of in measured.items()}), folder)
    return made, int(bool(progress.failed))


def _tabulated(
    request: TableRequest,
    corpus: Corpus,
    systems: Mapping[str, System],
    trained: Sequence[str],
    progress: Progress,
) -> Tabulated:
    """Bring the runs on one query set up to date, and return its table, which is not written yet."""
    qrels = corpus.collection.qrels()
    warn_of_unknown(corpus.collection, qrels, request.work.work)
    official = corpus.collection.official_measures()
    measures = measures_of(official, request.measures, corpus.summary.documents)
    opened, reasons, merged = _opened(request, corpus, systems)
    failed = _run_stages(request, opened, progress)
    reasons |= failed
    flops = "flops" in request.shown.columns
    measured = {
        name: _measured(of, name, qrels, measures, flops, request.work.wait)
        for name, of in opened.items()
        if name not in reasons
    }
    rows = {
        name: measured[name][0] if name in measured else results.not_run(system, name, reasons[name])
        for name, system in systems.items()
        if name in reasons or name in measured
    }
    baseline = request.shown.baseline or next(iter(measured), "")
    baseline = merged.get(baseline, baseline)
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
        # README's tables are the same on every machine: for the defaults, and without models trained here. A
        # block that shows a system which failed here is left alone.
        shown=tuple(row.system for name, row in rows.items() if default and name not in {*trained, *failed}),
        columns=request.shown.columns,
        baseline=rows[baseline].system if baseline in rows else None,
        correction=request.correction.correction,
    )
    values = {row.system: of_queries for row, of_queries in measured.values()}
    table = replace(table, comparisons=results.compare_rows(table, values))
    artifacts = {row.system: opened[name] for name, (row, _) in measured.items()}
    return Tabulated(request, corpus, table, artifacts, values)


def _opened(
    request: TableRequest, corpus: Corpus, systems: Mapping[str, System]
) -> tuple[dict[str, SystemArtifacts], dict[str, str], dict[str, str]]:
    """Return the artifacts of the systems whose weights are found, and why the others have none, by name.

    A model that is named twice has one row, that of its first name, which is returned by the others.
    InputError if two models would share artifacts.
    """
    opened: dict[str, SystemArtifacts] = {}
    reasons: dict[str, str] = {}
    merged: dict[str, str] = {}
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
            merged[name] = first
            note(f"{name} is the same model as {first}: one row")
        else:
            raise InputError(
                f"--systems: {first} and {name} would both be called {of.system.name}; rename one of the "
                "folders"
            )
    return opened, reasons, merged


def _same_weights(one: SystemArtifacts, other: SystemArtifacts) -> bool:
    """Tell whether two systems have models of the same files; of what has no weights there is one only."""
    same = one.weights is None or other.weights is None or one.weights.sha256 == other.weights.sha256
    return same and all(map(_same_weights, one.parts, other.parts))


def _run_stages(
    request: TableRequest, opened: Mapping[str, SystemArtifacts], progress: Progress
) -> dict[str, str]:
    """Run the stages that are needed; return why systems have no current run. ``progress`` gets what failed.

    A system that failed for another query set is not tried again. InputError at the first failure unless the
    request is to keep going.
    """
    failed: dict[str, str] = {}
    done: dict[Stage, StageFailed | None] = {}  # systems that are combined may have rows of their own, too
    for name, artifacts in opened.items():
        if name in progress.failed:
            if stages(request, name, artifacts):
                failed[name] = progress.failed[name]
            continue
        try:
            for needed in stages(request, name, artifacts, corpus_made=name in progress.run):
                if needed not in done:
                    done[needed] = _failure_of(needed)
                if (error := done[needed]) is not None:
                    raise error
        except StageFailed as error:
            if not request.table.keep_going:
                raise InputError(f"{error}; with --keep-going the other systems would go on") from error
            failed[name] = progress.failed[name] = str(error)
            note(f"{name}: {error}; going on with the others")
        progress.run.add(name)
    return failed


def _failure_of(needed: Stage) -> StageFailed | None:
    """Run a stage; return how it failed, None if it did not."""
    try:
        needed.run()
    except StageFailed as error:
        return error
    return None


def _measured(
    of: SystemArtifacts, spec: str, qrels: Qrels, measures: list[Measure], flops: bool, wait: bool
) -> tuple[results.Row, np.ndarray]:
    """Return what ``results.measure`` finds, from artifacts that are current; InputError if one is not."""
    with contextlib.ExitStack() as locks:
        for artifact in of.chain():
            locks.enter_context(artifact.reading(wait))
            if not artifact.is_current():
                raise InputError(
                    f"{artifact.path} was replaced by something else while the table was made (by a command "
                    "with other options?); run it again"
                )
        return results.measure(of, spec, qrels, measures, flops)
