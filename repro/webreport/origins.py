"""Where each figure of a table comes from: the row's artifacts with their manifests, and what was done."""

from dataclasses import dataclass
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.report.columns import columns_of
from repro.report.results import Row, Table


@dataclass(frozen=True)
class Origin:
    """What a column shows: the field of a row that it is sorted by, the stages whose manifests it stands in
    (none: the run's alone), and how it comes about. ``descends``: whether the first click puts the greatest
    value on top.
    """

    field: str
    stages: tuple[str, ...]
    how: str
    descends: bool = True


RESOURCES = {
    "parameters": Origin(
        "parameters",
        ("encode documents", "search"),
        "Of all models that the run comes from, counted as each was loaded, and recorded in these manifests.",
        False,
    ),
    "terms/doc": Origin(
        "document_terms",
        ("encode documents",),
        "Non-zero terms of all encoded documents by their number; a dense model's dimensions.",
        False,
    ),
    "terms/query": Origin(
        "query_terms",
        ("encode queries",),
        "Non-zero terms of all encoded queries by their number; a dense model's dimensions.",
        False,
    ),
    "FLOPS": Origin(
        "flops",
        ("encode documents",),
        "Expected number of products for a query and a document (Paria et al. 2020), counted in the encoded "
        "texts.",
        False,
    ),
    "index": Origin("index_bytes", ("index",), "Size of the index on disk when it was built.", False),
    "documents/s": Origin(
        "documents_per_second", ("encode documents",), "Documents by the seconds that encoding them took."
    ),
    "queries/s": Origin(
        "queries_per_second", (), "Queries by the seconds that searching took, without encoding them."
    ),
    "with encoding": Origin(
        "queries_per_second_with_encoding",
        ("encode queries", "search"),
        "Queries by the seconds that encoding and searching took, those of all parts together.",
    ),
    "J/document": Origin(
        "joules_per_document",
        ("encode documents",),
        "Joules of the machine while it encoded documents.",
        False,
    ),
    "J/query": Origin(
        "joules_per_query",
        ("encode queries", "search"),
        "Joules of the machine while it encoded queries and searched, those of all parts together.",
        False,
    ),
}
"""By the headers of ``report.columns``, measures aside."""


def columns(table: Table) -> list[dict[str, Any]]:
    """Return for each column its header, what it is sorted by, and its origin."""
    return [_column(table, column.header) for column in columns_of(table)]


def _column(table: Table, header: str) -> dict[str, Any]:
    measures = [str(measure) for measure in table.measures]
    if header in RESOURCES:
        of = RESOURCES[header]
        return {
            "header": header,
            "values": [getattr(row, of.field) for row in table.rows],
            "field": of.field,
            "stages": of.stages,
            "how": of.how,
            "descends": of.descends,
            "unknown": [getattr(row, "unknown", {}).get(of.field, "") for row in table.rows],
        }
    judged = f"{table.queries:,} judged queries"
    if header in measures:
        values, highs = [row.figures.get(header) for row in table.rows], None
        how = f"Mean of {header} over {judged}, by ir_measures; a query without an answer counts as 0."
    else:
        of_first = measures[0]
        bounds = [row.intervals.get(of_first, (None, None)) for row in table.rows]
        values, highs = [low for low, _ in bounds], [high for _, high in bounds]
        how = (
            f"Confidence interval of {of_first}'s mean over {judged}: percentile bootstrap, fixed seed. The "
            "column is sorted by the lower end."
        )
    return {
        "header": header, "values": values, "highs": highs, "stages": (), "how": how, "descends": True,
    }  # fmt: skip


def artifacts(of: SystemArtifacts, row: Row) -> list[dict[str, Any]]:
    """Return all that a row's run was made from, and the run last: places, checksums, manifests."""
    return [
        {
            "stage": artifact.inputs["stage"],
            "path": str(artifact.path),
            "manifest_path": str(artifact.manifest_path),
            "manifest_sha256": row.manifests[artifact.manifest_path.name],
            "manifest": artifact.manifest(),
        }
        for artifact in of.chain()
    ]
