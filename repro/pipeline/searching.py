"""Search a system's index with a collection's queries, or combine other systems' runs, and write the run."""

import contextlib
import time
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts, postings_of
from repro.artifacts.store import Artifact
from repro.base.energy import EnergyMeter
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.options import SCORERS, ScorerOption, WorkOptions
from repro.engines.protocol import CombiningRequest, Results, SearchRequest
from repro.formats.runs import RankedRun, write_run
from repro.models.systems import System
from repro.pipeline.merging import merge
from repro.pipeline.sources import held
from repro.postings.compiled import unavailable

LUCENE, COMPILED = SCORERS


def search(of: SystemArtifacts, work: WorkOptions, scoring: ScorerOption = ScorerOption()) -> Artifact:
    """Write the run unless it is there and current; return it.

    InputError if the index and the encoded queries, or the runs to combine, are missing or outdated, or the
    scorer that is asked for cannot be used.
    """
    run = of.run
    if scoring.scorer == COMPILED and of.postings is None:
        raise InputError(f"--scorer compiled: {of.system.name} searches no index of impacts")
    if not work.force and run.is_current():
        return run
    with contextlib.ExitStack() as locks:
        for source, command, system in _sources(of):
            locks.enter_context(held(source, command, system, work.wait))
        postings = [_postings(of, index, work, scoring, locks) for index in _indexes(of)]
        locks.enter_context(run.making(work.wait))
        if work.force or not run.is_current():
            _search(of, work.threads, postings)
    return run


def _sources(of: SystemArtifacts) -> list[tuple[Artifact, str, System]]:
    """Return the artifacts that a run comes from, each with the command and the system that make it."""
    if of.engine.combines:
        return [(part.run, "repro.search", part.system) for part in of.parts]
    indexes = [(index, "repro.index", of.system) for index in of.searched]
    if not of.engine.encodes:
        return indexes
    queries = (of.queries, "repro.encode --only queries", of.system)
    return [*indexes, queries] if of.engine.weighs_by_index else [queries, *indexes]


def _indexes(of: SystemArtifacts) -> list[Artifact | None]:
    """Return the indexes that are searched; of a system that combines runs, None in their place."""
    return [None] if of.engine.combines else list(of.searched)


def _postings(
    of: SystemArtifacts,
    index: Artifact | None,
    work: WorkOptions,
    scoring: ScorerOption,
    locks: contextlib.ExitStack,
) -> Path | None:
    """Return where an index's postings lie that are to be searched, kept as they are; None to search it."""
    if scoring.scorer == LUCENE or index is None or of.postings is None:
        return None
    postings = postings_of(index)
    if scoring.scorer == COMPILED:
        locks.enter_context(held(postings, "repro.index --postings", of.system, work.wait))
        return postings.path  # whoever opens them says why they cannot be searched
    if not postings.is_current():
        return None
    if reason := unavailable():
        note(f"{postings.path.name} is not used: {reason}")
        return None
    locks.enter_context(postings.reading(work.wait))
    return postings.path if postings.is_current() else None


def _search(of: SystemArtifacts, threads: int, postings: list[Path | None]) -> None:
    run, total = of.run, len(of.topics)
    partial = run.begin()
    with contextlib.ExitStack() as stack:
        # loading a model, starting the JVM and opening the index are not searching
        results, facts = _opened(of, threads, partial, stack, postings)
        started, meter = time.perf_counter(), stack.enter_context(EnergyMeter())
        searched = track(results, total, f"searching for {of.system.name}", "queries")
        lines = write_run(partial, searched, of.tag, of.options.search.ties)
        seconds, energy = time.perf_counter() - started, meter.record()
    rate = total / (seconds + sum(map(_seconds_of, of.parts)))
    run.finish(
        partial,
        system=of.system.name,
        kind=of.system.kind,
        collection=of.collection.name,
        weights=of.weights.record() if of.weights else None,
        counts={"queries": total, "lines": lines},
        threads=threads,
        seconds=round(seconds, 3),
        energy=energy,
        queries_per_second=round(rate, 1),
        **facts,
    )
    note(f"{run.path.name}: {total:,} queries, {lines:,} lines, {rate:,.0f} queries a second")


def _opened(
    of: SystemArtifacts,
    threads: int,
    partial: Path,
    stack: contextlib.ExitStack,
    postings: list[Path | None],
) -> tuple[Results, dict[str, Any]]:
    """Return what searches when it is iterated over, and what else the run's manifest shall tell."""
    engine, search = of.engine, of.options.search
    if engine.combines:
        runs = [RankedRun(part.run.path, search.hits, search.ties) for part in of.parts]
        scratch = partial.with_name(f"{partial.name}.texts")  # goes as what a killed process left of the run
        documents, weights = of.collection.documents, of.weights
        combined = engine.combine(
            CombiningRequest(runs, of.topics, documents, weights, of.options, threads, scratch), stack
        )
        return combined.results, {"parameters": combined.parameters}
    paths = [index.path for index in of.searched]
    requests = [SearchRequest(path, of.options, threads, laid) for path, laid in zip(paths, postings)]
    if not engine.encodes:
        (request,) = requests
        return engine.search(of.topics, request, stack), {}
    searched = [engine.search(of.queries.path, request, stack) for request in requests]
    facts = _scored_by(of, postings)
    if not of.given:
        return searched[0], facts
    return merge(paths, searched, search.hits, search.ties), {**facts, "indexes": list(map(str, paths))}


def _scored_by(of: SystemArtifacts, postings: list[Path | None]) -> dict[str, Any]:
    """Return what a run's manifest tells of who added impacts up, and what that takes beside the indexes."""
    if of.postings is None:
        return {}
    laid_out = [postings_of(index) for index, path in zip(of.searched, postings) if path]
    scorers = sorted({COMPILED if path else LUCENE for path in postings})
    size = sum((one.manifest() or {})["bytes"] for one in laid_out)
    return {"scorer": ", ".join(scorers), **({"postings_bytes": size} if size else {})}


def scorer_of(of: SystemArtifacts) -> str:
    """Return who adds impacts up when nobody is asked for: what lies there and can be used decides."""
    laid_out = of.postings is not None and of.postings.is_current()
    return COMPILED if laid_out and not unavailable() else LUCENE


def _seconds_of(part: SystemArtifacts) -> float:
    """Return how long a part's run took, with the runs that it combines: all of it is part of combining."""
    return (part.run.manifest() or {}).get("seconds", 0) + sum(map(_seconds_of, part.parts))
