"""Where each figure of a table comes from: the row's artifacts with their manifests, and what was done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.report.columns import INTERVAL, Column, columns_of
from repro.report.resources import manifest_of
from repro.report.results import Row, Table


@dataclass(frozen=True)
class Origin:
    """Where a row's figure comes from: the stages whose manifests it stands in (none: the run's alone), and
    how it comes about. ``descends``: whether the first click on its column puts the greatest value on top.
    """

    stages: tuple[str, ...]
    how: str
    descends: bool = True


ORIGINS = {
    "parameters": Origin(
        ("encode documents", "search"),
        "Of all models that the run comes from, counted as each was loaded, and recorded in these manifests.",
        False,
    ),
    "document_terms": Origin(
        ("encode documents",),
        "Non-zero terms of all encoded documents by their number; a dense model's dimensions.",
        False,
    ),
    "query_terms": Origin(
        ("encode queries",),
        "Non-zero terms of all encoded queries by their number; a dense model's dimensions.",
        False,
    ),
    "flops": Origin(
        ("encode documents",),
        "Expected number of products for a query and a document (Paria et al. 2020), counted in the encoded "
        "texts.",
        False,
    ),
    "index_bytes": Origin(
        ("index",),
        "Size of the index on disk when it was built, with its postings if compiled code has searched these.",
        False,
    ),
    "documents_per_second": Origin(
        ("encode documents",), "Documents by the seconds that encoding them took."
    ),
    "queries_per_second": Origin((), "Queries by the seconds that searching took, without encoding them."),
    "queries_per_second_with_encoding": Origin(
        ("encode queries", "search"),
        "Queries by the seconds that encoding and searching took, those of all parts together.",
    ),
    "joules_per_document": Origin(
        ("encode documents",),
        "Joules of the machine while it encoded documents.",
        False,
    ),
    "joules_per_query": Origin(
        ("encode queries", "search"),
        "Joules of the machine while it encoded queries and searched, those of all parts together.",
        False,
    ),
}
"""By the fields that ``report.columns`` shows."""


def columns(table: Table) -> list[dict[str, Any]]:
    """Return for each column its header, what it is sorted by, and its origin."""
    return [
        {"header": column.header, "field": column.field, "descends": True, **_origin(table, column)}
        for column in columns_of(table)
    ]


def _origin(table: Table, column: Column) -> dict[str, Any]:
    if column.field is not None:
        return _of_field(table, column.field)
    judged = f"{table.queries:,} judged queries"
    if column.header == INTERVAL:
        first = str(table.measures[0])
        bounds = [row.intervals[first] if row.intervals else (None, None) for row in table.rows]
        return {
            "values": [low for low, _ in bounds],
            "highs": [high for _, high in bounds],
            "how": f"Confidence interval of {first}'s mean over {judged}: percentile bootstrap, fixed seed. "
            "The column is sorted by the lower end.",
        }
    measure = column.header
    return {
        "values": [row.figures[measure] if row.figures else None for row in table.rows],
        "how": f"Mean of {measure} over {judged}, by ir_measures; a query without an answer counts as 0.",
    }


def _of_field(table: Table, field: str) -> dict[str, Any]:
    return {
        "values": [getattr(row, field) for row in table.rows],
        "how": ORIGINS[field].how,
        "descends": ORIGINS[field].descends,
        "unknown": [row.unknown.get(field, "") for row in table.rows],
    }


def artifacts(of: SystemArtifacts, row: Row) -> list[dict[str, Any]]:
    """Return all that a row's run was made from, and the run last: places, checksums, manifests, and which of
    the row's figures each manifest tells.
    """
    return [
        {
            "stage": artifact.inputs["stage"],
            "path": str(artifact.path),
            "manifest_path": str(artifact.manifest_path),
            "manifest_sha256": row.manifests[artifact.manifest_path.name],
            "manifest": manifest,
            "tells": [field for field in ORIGINS if _tells(manifest, field, row)],
        }
        for artifact in of.chain()
        for manifest in [manifest_of(artifact)]
    ]


def _tells(manifest: Mapping[str, Any], field: str, row: Row) -> bool:
    if getattr(row, field) is None or manifest["inputs"]["stage"] not in ORIGINS[field].stages:
        return False
    return field != "parameters" or bool(manifest.get("parameters"))  # a run's has some if a model re-ranked
