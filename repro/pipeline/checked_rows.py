"""A table's rows and comparisons, computed anew from the runs, the judgments and the manifests."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import differing
from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.evaluation.comparison import Comparison
from repro.models.systems import find_system
from repro.pipeline.opening import Corpus, artifacts_of
from repro.pipeline.planning import TableRequest
from repro.report import results

SHOWN = 5
"""Queries that are named of many."""
NO_FIGURES = ("run", "run_sha256", "reason", "weights", "unanswered", "manifests")
"""Fields of a row that are compared otherwise, or do not matter: the place of a run."""


def row_problems(
    request: TableRequest,
    table: results.Table,
    corpus: Corpus,
    row: results.Row,
    values: dict[str, np.ndarray],
) -> Iterator[str]:
    """Yield what is wrong with a row: its weights, what its run was made from, its figures.

    If the figures are as measured, ``values`` gets those of each query.
    """
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
    for path in changed_manifests(of, row):
        yield f"{path} is not the manifest that the table was made from"
    try:
        qrels, flops = corpus.collection.qrels(), "flops" in table.columns
        found, of_queries = results.measure(of, row.spec, qrels, table.measures, flops)
    except InputError as error:
        yield str(error)
        return
    changed = [*_changed_figures(row, found)]
    yield from changed
    if not changed:
        values[row.system] = of_queries


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


def changed_manifests(of: SystemArtifacts, row: results.Row) -> Iterator[Path]:
    """Yield the manifests that are there and are not those that a row was measured from."""
    there = results.manifests(of)
    for artifact in of.chain():
        path = artifact.manifest_path
        if path.name in there and there[path.name] != row.manifests.get(path.name):
            yield path


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


def changed_comparisons(table: results.Table, values: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yield in what the comparisons of systems differ from what the queries' values give.

    They depend on all rows: where one has another figure, which was told, these are not told of.
    """
    if values.keys() != {row.system for row in table.rows if row.status == "measured"}:
        return
    there = {_compared(of): of for of in results.compare_rows(table, values)}
    recorded = {_compared(of): of for of in table.comparisons}
    if there.keys() != recorded.keys():
        yield "the systems that are compared are not those of the rows, the baseline and the correction"
    for name, of in recorded.items():
        for entry, value in asdict(of).items():
            found = getattr(there.get(name, of), entry)
            if not _same(value, found):
                yield f"{name}: {entry} is {value} in the table, and {found} as measured"


def _compared(of: Comparison) -> str:
    return f"{of.system} beside {of.other}, {of.measure}"


def _values(row: results.Row, name: str) -> dict[str, Any]:
    """Return a field's figures by their names: of intervals, the lower and the upper end."""
    value = getattr(row, name)
    if not isinstance(value, dict):
        return {name: value}
    if name == "intervals":
        ends = ((measure, *interval) for measure, interval in value.items())
        return {f"{measure} {end}": v for measure, *both in ends for end, v in zip(("low", "high"), both)}
    return value


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, floats up to what another order of summing may change."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def _some(queries: Sequence[str]) -> str:
    named, more = ", ".join(queries[:SHOWN]), len(queries) > SHOWN
    noun = "judged query" if len(queries) == 1 else "judged queries"
    return f"{len(queries):,} {noun} ({named}{', ...' if more else ''})"
