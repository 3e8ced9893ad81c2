"""The table of a collection against what it was measured from: nothing is made, and nothing is written.

Two steps, so that a fault is told where it is. The rows of ``<tables>/<collection>.json`` are computed anew
from the runs, the judgments and the manifests, all of which must be those that the table was made from, and
current for the collection and the weights that are there now. Then whatever shows these rows (the other files
of the table, the blocks of README.md and docs/) is rendered anew from them (``report.shown``).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import differing
from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.base.progress import note
from repro.cli.options import MeasureOptions, SystemOptions
from repro.collections.model import Qrels, judgments_checksum
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, known_summary
from repro.models.systems import find_system
from repro.pipeline.opening import Corpus, artifacts_of
from repro.pipeline.tabulating import TableRequest
from repro.report import results
from repro.report.published import compare, failures
from repro.report.shown import changed_renderings
from repro.report.tables import read_table

SHOWN = 5
"""Queries that are named of many."""
NO_FIGURES = ("run", "run_sha256", "reason", "weights", "unanswered", "manifests")
"""Fields of a row that are compared otherwise, or do not matter: the place of a run."""


def check(request: TableRequest) -> int:
    """Print in what a collection's table differs from what it was measured from; 1 if in anything.

    A system whose figures FAIL against all that was published of it counts, too. Systems, measures and
    options are the table's. InputError if there is no table, or the request has any of these.
    """
    asked = (request.table.systems, request.systems, request.measures)
    if asked != (None, SystemOptions(), MeasureOptions()):
        raise InputError(
            "--check takes systems, measures and options from the table that it checks; leave them out"
        )
    options, work = request.collection, request.work.work
    collection = open_collection(options.collection, options.split, work, claim=False)
    path = request.table.tables / f"{collection.name}.json"
    table, stored = read_table(path)
    summary, qrels = known_summary(collection, work), collection.qrels()
    problems = [*_changed_collection(table, summary, qrels)]
    for row in table.rows:
        found = _row_problems(request, table, Corpus(collection, summary or table.corpus), row)
        problems += [f"{row.system}: {problem}" for problem in found]
    problems += [*changed_renderings(table, stored, path), *_not_reproduced(table)]
    for problem in problems:
        print(problem)
    measured = sum(row.status == "measured" for row in table.rows)
    outcome = _count(len(problems), "problem", "problems") if problems else "every figure is as measured"
    note(f"{path}: {measured} of {len(table.rows)} systems, {table.queries:,} queries; {outcome}")
    return int(bool(problems))


def _changed_collection(table: results.Table, summary: CorpusSummary | None, qrels: Qrels) -> Iterator[str]:
    if summary is None:
        yield (
            "the corpus was changed or moved since it was read; the same command without --check reads it "
            "anew and makes what is outdated"
        )
    elif summary != table.corpus:
        yield "the corpus is not the one that the table was made from (other documents, or other texts)"
    if len(qrels) != table.queries:
        yield f"{len(qrels):,} queries have judgments, and {table.queries:,} when the table was made"
    if judgments_checksum(qrels) != table.judgments:
        yield "the judgments are not those that the table was made from"


def _row_problems(
    request: TableRequest, table: results.Table, corpus: Corpus, row: results.Row
) -> Iterator[str]:
    """Yield what is wrong with a row: its weights, what its run was made from, its figures."""
    if row.status != "measured":
        if row != results.Row(row.system, row.kind, row.status, row.reason, spec=row.spec, hub=row.hub):
            yield "it has figures, but was not run"
        return
    try:
        of = artifacts_of(
            find_system(row.spec), corpus, request.work, table.options, request.runs, download=False
        )
    except InputError as error:  # no weights any more, no such folder, or damaged ones
        yield str(error)
        return
    recorded, there = ((record or {}).get("sha256") for record in (row.weights, _weights(of)))
    if recorded != there:
        yield f"other weights: SHA-256 {there}, and {recorded} when the table was made"
        return
    yield from _outdated(of)
    yield from _changed_manifests(of, row)
    try:
        found = results.measure(of, row.spec, corpus.collection.qrels(), table.measures)
    except InputError as error:
        yield str(error)
    else:
        yield from _changed_figures(row, found)


def _weights(of: SystemArtifacts) -> dict[str, str] | None:
    return of.weights.record() if of.weights else None


def _outdated(of: SystemArtifacts) -> Iterator[str]:
    """Yield what is missing or was changed, and the first artifact that is stale: others follow from it."""
    stale = False
    for artifact in of.chain():
        manifest = artifact.manifest()
        if manifest is None:
            yield f"{artifact.path} is missing, or has no manifest that vouches for it"
            continue
        if not stale and (names := differing(manifest["inputs"], artifact.inputs)):
            stale = True
            yield f"{artifact.path} is stale: {', '.join(names)} changed since it was made"
        if artifact.single_file and manifest.get("sha256") != sha256_file(artifact.path):
            yield f"{artifact.path} was changed after it was made: its SHA-256 is not its manifest's"


def _changed_manifests(of: SystemArtifacts, row: results.Row) -> Iterator[str]:
    there = results.manifests(of)
    for artifact in of.chain():
        path = artifact.manifest_path
        if path.name in there and there[path.name] != row.manifests.get(path.name):
            yield f"{path} is not the manifest that the table was made from"


def _changed_figures(row: results.Row, found: results.Row) -> Iterator[str]:
    """Yield in what a row differs from what its run, the judgments and the manifests give."""
    if row.run_sha256 != found.run_sha256:
        yield f"{found.run} is not the run that the table was made from"
    before, now = set(row.unanswered), set(found.unanswered)
    if lost := [query for query in found.unanswered if query not in before]:
        yield f"{found.run} lacks {_some(lost)}, which it answered when the table was made"
    if new := [query for query in row.unanswered if query not in now]:
        yield f"{found.run} answers {_some(new)}, which it did not when the table was made"
    for entry in fields(results.Row):
        if entry.name not in NO_FIGURES:
            recorded, there = _values(row, entry.name), _values(found, entry.name)
            for name in recorded | there:
                if not _same(recorded.get(name), there.get(name)):
                    yield f"{name} is {recorded.get(name)} in the table, and {there.get(name)} as measured"


def _values(row: results.Row, name: str) -> dict[str, Any]:
    """Return a field's figures by their names: of intervals, the lower and the upper end."""
    value = getattr(row, name)
    if not isinstance(value, dict):
        return {name: value}
    if name == "intervals":
        ends = ((measure, *interval) for measure, interval in value.items())
        return {f"{measure} {end}": v for measure, *both in ends for end, v in zip(("low", "high"), both)}
    return value


def _not_reproduced(table: results.Table) -> Iterator[str]:
    for cell in failures(compare(table)):
        measured, published = f"{cell.measured:.{cell.digits + 1}f}", f"{cell.published:.{cell.digits}f}"
        yield (
            f"{cell.system}: FAIL: {cell.quantity} is {measured}, {published} by {cell.source}; the "
            f"difference may be {cell.okish:g} at most"
        )


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, floats up to what another order of summing may change."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def _some(queries: Sequence[str]) -> str:
    named, more = ", ".join(queries[:SHOWN]), len(queries) > SHOWN
    return f"{_count(len(queries), 'judged query', 'judged queries')} ({named}{', ...' if more else ''})"


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
