"""The rows of a results table: what was measured, read from runs and manifests, or why it was not."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from repro.artifacts.graph import SystemArtifacts
from repro.base.files import sha256_file
from repro.base.progress import track
from repro.cli.options import ROUNDED, SystemOptions
from repro.cli.parsing import arguments
from repro.cli.shown_options import DEFAULT_COLUMNS, HOLM
from repro.collections.model import Qrels
from repro.collections.scan import CorpusSummary
from repro.engines import deciding
from repro.evaluation.comparison import TESTS, Comparison, compare_systems
from repro.evaluation.measures import Measure, evaluate
from repro.evaluation.significance import intervals
from repro.formats.runs import read_queries
from repro.models.systems import System
from repro.report.resources import Resources, resources


@dataclass(frozen=True)
class Row(Resources):
    """One system's line. Figures are missing when it was not measured; ``reason`` then says why.

    ``figures`` has each measure's mean over all judged queries, ``intervals`` the 95 % confidence interval of
    that mean.

    ``spec`` is what ``--systems`` calls the system, ``hub`` its model's name on the Hub, ``options`` the
    command line of its options that are not the default. ``unanswered`` are the judged queries that the run
    does not answer, and ``manifests`` the SHA-256 of the manifest of each artifact, by the manifest's name.
    """

    system: str
    kind: str
    status: str
    reason: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    queries: int | None = None
    run: str = ""
    run_sha256: str = ""
    weights: dict[str, str] | None = None
    spec: str = ""
    hub: str | None = None
    options: str = ""
    unanswered: list[str] = field(default_factory=list)
    manifests: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The system's name, and how its numbers were rounded, if they were."""
        words = [*shlex.split(self.options), ""]
        rounded = [value for flag, value in pairwise(words) if flag == "--precision" and value in ROUNDED]
        return ", ".join([self.system, *rounded])


@dataclass(frozen=True)
class Table:
    """A collection's rows. ``queries`` counts the judged ones, over which the means are taken.

    ``dataset`` is the collection's id if it is one of ir_datasets', ``judgments`` the checksum of its qrels.
    ``shown`` are the systems that the pages of README.md and docs/ show, none unless the options are the
    defaults. ``comparisons`` are those of the rows with that of ``baseline``, none if that was not run.
    """

    collection: str
    queries: int
    measures: list[Measure]
    rows: list[Row]
    corpus: CorpusSummary
    dataset: str | None = None
    judgments: str = ""
    options: SystemOptions = SystemOptions()
    shown: tuple[str, ...] = ()
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    baseline: str | None = None
    correction: str = HOLM
    comparisons: tuple[Comparison, ...] = ()

    @property
    def text(self) -> str:
        """The variant of the documents' text: ir_datasets repairs doubly encoded characters of MS MARCO."""
        if self.dataset is None:
            return "as in the folder"
        repaired = self.dataset.startswith("msmarco-passage")
        return "repaired by ir_datasets" if repaired else "as ir_datasets has it"

    @property
    def caption(self) -> str:
        """The line above the table."""
        return f"{self.collection}, {self.queries:,} judged queries"

    def of(self, rows: list[Row]) -> "Table":
        """Return the same table with these rows."""
        return replace(self, rows=rows)

    def row(self, system: str) -> Row | None:
        """Return a system's row; None if it has none."""
        return next((row for row in self.rows if row.system == system), None)


def measure(
    of: SystemArtifacts, spec: str, qrels: Qrels, measures: Sequence[Measure], flops: bool = False
) -> tuple[Row, np.ndarray]:
    """Evaluate a system's run, read a query at a time, and gather the figures of its manifests.

    Return the row, and each query's figures, queries x measures. ``flops`` is for ``resources``. Whoever
    calls it has seen that all artifacts are current, and that they will stay.
    """
    unanswered = dict.fromkeys(qrels)
    results = track(read_queries(of.run.path), len(qrels), f"evaluating {of.system.name}", "queries")
    figures = evaluate(qrels, _struck_off(results, unanswered), measures)
    row = Row(
        system=of.system.name,
        kind=of.system.kind,
        status="measured",
        figures=figures.mean,
        intervals=intervals(figures),
        queries=len(qrels),
        run=str(of.run.path),
        run_sha256=sha256_file(of.run.path),
        weights=of.weights.record() if of.weights else None,
        spec=spec,
        hub=of.system.hub,
        options=_changed_options(of),
        unanswered=list(unanswered),
        manifests=manifests(of),
        **vars(resources(of, flops)),
    )
    return row, figures.values()


def compare_rows(table: Table, values: Mapping[str, np.ndarray]) -> tuple[Comparison, ...]:
    """Return the comparisons of a table's measured rows; ``values`` has what ``measure`` found, by system."""
    if table.baseline is None or table.baseline not in values:
        return ()
    measures = [str(measure) for measure in table.measures]
    return tuple(compare_systems(values, measures, table.baseline, table.correction))


def not_run(system: System, spec: str, reason: str) -> Row:
    """Return the row of a system that could not be run: it has no figure."""
    return Row(system.name, system.kind, "not run", reason, spec=spec, hub=system.hub)


def manifests(of: SystemArtifacts) -> dict[str, str]:
    """Return the SHA-256 of the manifest of each artifact that there is, by the manifest's name."""
    paths = [artifact.manifest_path for artifact in of.chain()]
    return {path.name: sha256_file(path) for path in paths if path.is_file()}


def _struck_off(
    results: Iterator[tuple[str, dict[str, float]]], unanswered: dict[str, None]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield ``results``, each query's taken out of ``unanswered``."""
    for query, scores in results:
        unanswered.pop(query, None)
        yield query, scores


def _changed_options(of: SystemArtifacts) -> str:
    """Return the command line of those options that decide the figures and are not the defaults."""
    return shlex.join(arguments(*deciding(of.system, of.options)))


def as_records(table: Table) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, for JSON."""
    return [{f.name: getattr(row, f.name) for f in fields(Row)} for row in table.rows]


def as_csv(table: Table) -> str:
    """Return the rows as CSV, a column a measure."""
    return to_csv(flat_records(table))


def to_csv(records: Iterable[Mapping[str, Any]]) -> str:
    """Return flat records as CSV."""
    import pandas

    return pandas.DataFrame(list(records), dtype=object).to_csv(index=False)


def flat_records(table: Table) -> list[dict[str, Any]]:
    """Return the rows as dictionaries without lists and dictionaries in them, for CSV."""

    def flat(record: dict[str, Any]) -> dict[str, Any]:
        first = {name: record.pop(name) for name in ("system", "kind", "status", "reason")}
        figures, bounds, weights = (record.pop(name) for name in ("figures", "intervals", "weights"))
        del record["unanswered"], record["manifests"], record["unknown"]
        low = {f"{measure} low": of[0] for measure, of in bounds.items()}
        high = {f"{measure} high": of[1] for measure, of in bounds.items()}
        compared = {"baseline": table.baseline} | _flat_comparisons(table, first["system"])
        shown = {**first, **record, "weights": weights and weights["source"]}
        return {**shown, **figures, **low, **high, **compared}

    return [flat(record) for record in as_records(table)]


def _flat_comparisons(table: Table, system: str) -> dict[str, Any]:
    """Return a system's comparisons with the baseline, for CSV."""
    by_model, by_randomisation = (f"p, {name}" for name in TESTS[table.correction])
    columns = {"mean": "difference", "low": "difference low", "high": "difference high", "effect": "d"}
    columns |= {"t_test_corrected": by_model, "p_corrected": by_randomisation, "significant": "significant"}
    columns |= {name: name for name in ("better", "equal", "worse")}
    return {
        f"{of.measure} {label}": getattr(of, name)
        for of in table.comparisons
        if of.system == system and of.other == table.baseline
        for name, label in columns.items()
    }
