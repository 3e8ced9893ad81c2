"""The rows of a results table: what was measured, read from runs and manifests, or why it was not."""

from dataclasses import asdict, dataclass, fields, replace

from repro.artifacts.graph import SystemArtifacts
from repro.base.files import sha256_file
from repro.collections.model import Qrels
from repro.evaluation.measures import evaluate
from repro.formats.runs import read_run
from repro.models.systems import System


@dataclass(frozen=True)
class Row:
    """One system's line. Figures are None when not measured; ``reason`` then says why.

    ``document_terms`` and ``query_terms`` are mean numbers of non-zero terms, or a dense model's dimensions;
    ``parameters`` counts the model's parameters; ``index_bytes`` is the size of the index on disk.
    """

    system: str
    kind: str
    status: str
    reason: str = ""
    parameters: int | None = None
    rr_10: float | None = None
    ndcg_10: float | None = None
    r_10: float | None = None
    r_1000: float | None = None
    document_terms: float | None = None
    query_terms: float | None = None
    index_bytes: int | None = None
    queries: int | None = None
    queries_per_second: float | None = None
    run: str = ""
    run_sha256: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Table:
    """A collection's rows."""

    collection: str
    queries: int
    measures: list
    rows: list[Row]

    @property
    def caption(self) -> str:
        """The line above the table."""
        return f"{self.collection}, {self.queries:,} judged queries"

    def of(self, rows: list[Row]) -> "Table":
        """Return the same table with these rows."""
        return replace(self, rows=rows)


COLUMNS = [field.name for field in fields(Row)]


def measure(plan: SystemArtifacts, qrels: Qrels, measures: list) -> Row:
    """Evaluate a plan's run and gather the figures of its manifests."""
    figures = evaluate(qrels, read_run(plan.run.path), measures).mean
    run, index = plan.run.manifest(), plan.index.manifest()
    parameters = document_terms = query_terms = None
    if plan.weights is not None:
        documents, queries = plan.documents.manifest(), plan.queries.manifest()
        parameters = documents["parameters"]
        document_terms, query_terms = (_terms(manifest["counts"]) for manifest in (documents, queries))
    return Row(
        system=plan.system.name,
        kind=plan.system.kind,
        status="measured",
        parameters=parameters,
        rr_10=figures["RR@10"],
        ndcg_10=figures["nDCG@10"],
        r_10=figures["R@10"],
        r_1000=figures["R@1000"],
        document_terms=document_terms,
        query_terms=query_terms,
        index_bytes=index["bytes"],
        queries=len(qrels),
        queries_per_second=run["queries_per_second"],
        run=str(plan.run.path),
        run_sha256=sha256_file(plan.run.path),
        weights=plan.weights.source if plan.weights else "",
    )


def not_run(system: System, reason: str) -> Row:
    """Return the row of a system that could not be run."""
    return Row(system.name, system.kind, "not run", reason)


def as_records(table: Table) -> list[dict]:
    """Return the rows as dictionaries, for JSON and CSV."""
    return [asdict(row) for row in table.rows]


def as_csv(table: Table) -> str:
    """Return the rows as CSV."""
    import pandas

    return pandas.DataFrame.from_records(as_records(table), columns=COLUMNS).to_csv(index=False)


def _terms(counts: dict) -> float:
    """Mean active terms of a text, or the dimensions of a dense vector."""
    return counts["dimensions"] if "dimensions" in counts else counts["active_terms"] / counts["texts"]
