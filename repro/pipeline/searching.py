"""Search a system's index with a collection's queries and write the run."""

import contextlib
import time

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.options import WorkOptions
from repro.engines.protocol import SearchRequest
from repro.formats.runs import write_run


def search(of: SystemArtifacts, work: WorkOptions) -> Artifact:
    """Write the run unless it is there and current; return it.

    InputError if the index or the encoded queries are missing or outdated.
    """
    run = of.run
    if not work.force and run.is_current():
        return run
    with contextlib.ExitStack() as locks:
        for source, command in _sources(of):
            locks.enter_context(source.reading(work.wait))
            if not source.is_current():
                reason = source.why_unreadable() or "is missing or was made from something else"
                raise InputError(
                    f"{source.path} {reason}; run first: python -m "
                    f"{command} --collection ... --system {of.system.name} (same options)"
                )
        locks.enter_context(run.making(work.wait))
        if work.force or not run.is_current():
            _search(of, work.threads)
    return run


def _sources(of: SystemArtifacts) -> list[tuple[Artifact, str]]:
    """Return the artifacts that are searched and searched with, each with the command that makes it."""
    queries = [(of.queries, "repro.encode --only queries")] if of.engine.encodes else []
    return [*queries, (of.index, "repro.index")]


def _search(of: SystemArtifacts, threads: int) -> None:
    run, total = of.run, len(of.topics)
    request = SearchRequest(of.index.path, of.options, threads)
    partial = run.begin()
    with contextlib.ExitStack() as stack:
        # starting the JVM and opening the index are not searching
        if of.engine.encodes:
            results = of.engine.search(of.queries.path, request, stack)
        else:
            results = of.engine.search(of.topics, request, stack)
        started = time.perf_counter()
        searched = track(results, total, f"searching {of.index.path.name}", "queries")
        lines = write_run(partial, searched, of.tag, of.options.search.ties)
        seconds = time.perf_counter() - started
    rate = total / seconds
    run.finish(
        partial,
        system=of.system.name,
        collection=of.collection.name,
        weights=of.weights.record() if of.weights else None,
        counts={"queries": total, "lines": lines},
        threads=threads,
        seconds=round(seconds, 3),
        queries_per_second=round(rate, 1),
    )
    note(f"{run.path.name}: {total:,} queries, {lines:,} lines, {rate:,.0f} queries a second")
