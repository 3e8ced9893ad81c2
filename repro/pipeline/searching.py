"""Search a system's index with a collection's queries, or combine other systems' runs, and write the run."""

import contextlib
import time
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.energy import EnergyMeter
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.options import SCORERS, ScorerOption, WorkOptions
from repro.engines.protocol import CombiningRequest, Results, SearchRequest
from repro.formats.runs import RankedRun, write_run
from repro.models.systems import System
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
        postings = _postings(of, work, scoring, locks)
        locks.enter_context(run.making(work.wait))
        if work.force or not run.is_current():
            _search(of, work.threads, postings)
    return run


def _sources(of: SystemArtifacts) -> list[tuple[Artifact, str, System]]:
    """Return the artifacts that a run comes from, each with the command and the system that make it."""
    if of.engine.combines:
        return [(part.run, "repro.search", part.system) for part in of.parts]
    index = (of.index, "repro.index", of.system)
    if not of.engine.encodes:
        return [index]
    queries = (of.queries, "repro.encode --only queries", of.system)
    return [index, queries] if of.engine.weighs_by_index else [queries, index]


def _postings(
    of: SystemArtifacts, work: WorkOptions, scoring: ScorerOption, locks: contextlib.ExitStack
) -> Path | None:
    """Return where the postings lie that are to be searched, kept as they are; None to search the index."""
    postings = of.postings
    if scoring.scorer == LUCENE or postings is None:
        return None
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


def _search(of: SystemArtifacts, threads: int, postings: Path | None) -> None:
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
    of: SystemArtifacts, threads: int, partial: Path, stack: contextlib.ExitStack, postings: Path | None
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
    request = SearchRequest(of.index.path, of.options, threads, postings)
    if engine.encodes:
        return engine.search(of.queries.path, request, stack), _scored_by(of, postings)
    return engine.search(of.topics, request, stack), {}


def _scored_by(of: SystemArtifacts, postings: Path | None) -> dict[str, Any]:
    """Return what a run's manifest tells of who added impacts up, and what that takes beside the index."""
    if of.postings is None:
        return {}
    if postings is None:
        return {"scorer": LUCENE}
    return {"scorer": COMPILED, "postings_bytes": (of.postings.manifest() or {})["bytes"]}


def scorer_of(of: SystemArtifacts) -> str:
    """Return who adds impacts up when nobody is asked for: what lies there and can be used decides."""
    laid_out = of.postings is not None and of.postings.is_current()
    return COMPILED if laid_out and not unavailable() else LUCENE


def _seconds_of(part: SystemArtifacts) -> float:
    """Return how long a part's run took, with the runs that it combines: all of it is part of combining."""
    return (part.run.manifest() or {}).get("seconds", 0) + sum(map(_seconds_of, part.parts))
