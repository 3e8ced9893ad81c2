"""The columns of a measured table, by what ``--columns`` calls them: a header each, and a row's cell."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from repro.evaluation.comparison import Comparison
from repro.report.resources import NOTHING_ENCODED
from repro.report.results import Row, Table

UNKNOWN = "–"
BETTER, WORSE = "▲", "▼"
INTERVAL = "95 %"
"""The header of the first measure's interval."""


@dataclass(frozen=True)
class Column:
    """A header, and what renders the cell of a row that was measured; whether it depends on the queries.

    ``field`` is the field of a row that the cell shows, None for a measure and the interval.
    """

    header: str
    cell: Callable[[Row], str]
    of_queries: bool = False
    field: str | None = None


def columns_of(table: Table, marks: bool = True) -> list[Column]:
    """Return a table's columns after name and type; with ``marks``, figures that differ from the baseline's
    significantly have one.
    """
    first, *others = figure_columns(table, marks)
    of_name = {"measures": [first, Column(INTERVAL, _interval_of(first.header)), *others]} | RESOURCES
    return [column for name in table.columns for column in of_name[name]]


def figure_columns(table: Table, marks: bool = True) -> list[Column]:
    """Return a column for each measure."""
    marked = _marks(table) if marks else {}
    width = max(map(len, marked.values()), default=0)  # of all cells, so that digits stay aligned

    def figure_of(measure: str) -> Callable[[Row], str]:
        return lambda row: f"{row.figures[measure]:.4f}{marked.get((row.system, measure), ''):{width}}"

    return [Column(str(measure), figure_of(str(measure)), True) for measure in table.measures]


def cells(row: Row, columns: Iterable[Column]) -> list[str]:
    """Return a row's cells; none of a row that was not measured."""
    return [column.cell(row) for column in columns] if row.status == "measured" else []


def mark(of: Comparison) -> str:
    """Return the mark of a significant difference; empty if it is none."""
    if not of.significant or not of.mean:
        return ""
    return BETTER if of.mean > 0 else WORSE


def p_value(p: float | None) -> str:
    """Render a p-value."""
    return UNKNOWN if p is None else f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def effect(size: float | None) -> str:
    """Render an effect size, Cohen's d."""
    return UNKNOWN if size is None else f"{size:+.2f}"


def millions(parameters: int | None) -> str:
    """Render a number of parameters."""
    return UNKNOWN if parameters is None else f"{parameters / 1e6:.1f}M"


def terms(count: float | None) -> str:
    """Render a mean number of terms, or dimensions."""
    return UNKNOWN if count is None else str(count) if isinstance(count, int) else f"{count:.2f}"


def size(count: int | None) -> str:
    """Render a number of bytes."""
    if count is None:
        return UNKNOWN
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def rate(of_second: float | None) -> str:
    """Render what is done in a second."""
    if of_second is None:
        return UNKNOWN
    return f"{of_second:,.0f}" if of_second >= 10 else f"{of_second:.1f}"


def energy(row: Row, name: str) -> str:
    """Render joules to three digits; where something took energy and it could not be read, say that."""
    joules = getattr(row, name)
    if joules is None:
        return UNKNOWN if row.unknown.get(name) in NOTHING_ENCODED else "not read"
    return f"{joules:#.3g}"


def _interval_of(measure: str) -> Callable[[Row], str]:
    def interval(row: Row) -> str:
        low, high = row.intervals[measure]
        return f"{low:.2f}–{high:.2f}"

    return interval


def _shown(header: str, field: str, render: Callable[[Any], str], of_queries: bool = False) -> Column:
    """Return the column of a row's field."""
    return Column(header, lambda row: render(getattr(row, field)), of_queries, field)


def _energy(header: str, field: str, of_queries: bool = False) -> Column:
    return Column(header, lambda row: energy(row, field), of_queries, field)


def _marks(table: Table) -> dict[tuple[str, str], str]:
    """Return the marks in a table, by system and measure."""
    marked = {(of.system, of.measure): mark(of) for of in table.comparisons if of.other == table.baseline}
    return {place: f" {found}" for place, found in marked.items() if found}


RESOURCES = {
    "parameters": [_shown("parameters", "parameters", millions)],
    "terms": [
        _shown("terms/doc", "document_terms", terms),
        _shown("terms/query", "query_terms", terms, True),
    ],
    "flops": [_shown("FLOPS", "flops", terms, True)],
    "index": [_shown("index", "index_bytes", size)],
    "documents-per-second": [_shown("documents/s", "documents_per_second", rate)],
    "queries-per-second": [
        _shown("queries/s", "queries_per_second", rate, True),
        _shown("with encoding", "queries_per_second_with_encoding", rate, True),
    ],
    "energy": [
        _energy("J/document", "joules_per_document"),
        _energy("J/query", "joules_per_query", True),
    ],
}
"""Those beside the measures, by their names."""
