"""The rows of a results table: what was measured, read from runs and manifests, or why it was not."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.base.progress import track
from repro.collections.model import Qrels
from repro.evaluation.measures import Measure, evaluate
from repro.evaluation.significance import intervals
from repro.formats.runs import read_queries
from repro.models.systems import System


@dataclass(frozen=True)
class Row:
    """One system's line. Figures are missing when it was not measured; ``reason`` then says why.

    ``figures`` has each measure's mean over all judged queries, ``intervals`` the 95 % confidence interval of
    that mean; ``document_terms`` and ``query_terms`` are mean numbers of non-zero terms, or a dense model's
    dimensions; ``parameters`` counts the model's; ``index_bytes`` is the size of the index on disk.
    """

    system: str
    kind: str
    status: str
    reason: str = ""
    parameters: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    document_terms: float | None = None
    query_terms: float | None = None
    index_bytes: int | None = None
    queries: int | None = None
    queries_per_second: float | None = None
    run: str = ""
    run_sha256: str = ""
    weights: dict[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """A collection's rows. ``queries`` counts the judged ones, over which the means are taken."""

    collection: str
    queries: int
    measures: list[Measure]
    rows: list[Row]

    @property
    def caption(self) -> str:
        """The line above the table."""
        return f"{self.collection}, {self.queries:,} judged queries"

    def of(self, rows: list[Row]) -> "Table":
        """Return the same table with these rows."""
        return replace(self, rows=rows)


def measure(of: SystemArtifacts, qrels: Qrels, measures: Sequence[Measure]) -> Row:
    """Evaluate a system's run, read a query at a time, and gather the figures of its manifests.

    Whoever calls it has seen that all artifacts are current, and holds their locks.
    """
    results = track(read_queries(of.run.path), len(qrels), f"evaluating {of.system.name}", "queries")
    figures = evaluate(qrels, results, measures)
    run, index = _manifest(of.run), _manifest(of.index)
    parameters = document_terms = query_terms = None
    if of.engine.encodes:
        documents, queries = _manifest(of.documents), _manifest(of.queries)
        parameters = documents["parameters"]
        document_terms, query_terms = (_terms(manifest["counts"]) for manifest in (documents, queries))
    return Row(
        system=of.system.name,
        kind=of.system.kind,
        status="measured",
        parameters=parameters,
        figures=figures.mean,
        intervals=intervals(figures),
        document_terms=document_terms,
        query_terms=query_terms,
        index_bytes=index["bytes"],
        queries=len(qrels),
        queries_per_second=run["queries_per_second"],
        run=str(of.run.path),
        run_sha256=sha256_file(of.run.path),
        weights=of.weights.record() if of.weights else None,
    )


def not_run(system: System, reason: str) -> Row:
    """Return the row of a system that could not be run."""
    return Row(system.name, system.kind, "not run", reason)


def as_records(table: Table) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, for JSON."""
    return [{f.name: getattr(row, f.name) for f in fields(Row)} for row in table.rows]


def as_csv(table: Table) -> str:
    """Return the rows as CSV, a column a measure."""
    import pandas

    def flat(record: dict[str, Any]) -> dict[str, Any]:
        figures, bounds, weights = (record.pop(name) for name in ("figures", "intervals", "weights"))
        low = {f"{measure} low": of[0] for measure, of in bounds.items()}
        high = {f"{measure} high": of[1] for measure, of in bounds.items()}
        return {**record, "weights": weights and weights["source"], **figures, **low, **high}

    return pandas.DataFrame.from_records([flat(record) for record in as_records(table)]).to_csv(index=False)


def _manifest(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest()
    if manifest is None:
        raise InputError(
            f"{artifact.path} has no manifest any more; run the same command again to make it anew"
        )
    return manifest


def _terms(counts: dict[str, int]) -> float:
    """Mean active terms of a text, or the dimensions of a dense vector."""
    return counts["dimensions"] if "dimensions" in counts else counts["active_terms"] / counts["texts"]
