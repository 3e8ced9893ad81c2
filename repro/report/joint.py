"""The table of several query sets over one corpus: a line a system, each set's own measures side by side.

Each query set has a table of its own, too. All that is written of the joint one follows from these, so that
``pipeline.checking`` can compare them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.cli.shown_options import DEFAULT_COLUMNS
from repro.report import claims, markdown
from repro.report.columns import RESOURCES, UNKNOWN, Column, figure_columns
from repro.report.published import compare
from repro.report.results import Table, flat_records, to_csv
from repro.report.tables import shown_elsewhere, write_results


@dataclass(frozen=True)
class JointTable:
    """The tables of two query sets over one corpus, or more, by their names in ``--topics``.

    ``name`` is what its files and its block of a page are called by.
    """

    name: str
    tables: Mapping[str, Table]

    @property
    def caption(self) -> str:
        """The line above the table."""
        counts = ", ".join(f"{of_set.queries:,} of {name}" for name, of_set in self.tables.items())
        return f"{self.name}, judged queries: {counts}"

    @property
    def shown(self) -> tuple[str, ...]:
        """The systems that a page shows: those that it would show of each query set."""
        first, *others = (of_set.shown for of_set in self.tables.values())
        return tuple(system for system in first if all(system in shown for shown in others))


def write_joint(joint: JointTable, folder: Path) -> None:
    """Print a joint table, write it to ``folder``, and to the block of a page that shows it."""
    print(printed(joint))
    write_results(joint.name, files(joint), record(joint), blocks(joint), folder)


def printed(joint: JointTable) -> str:
    """Return the table as it is printed: the rows, why some were not run, and what was published of them."""
    reasons = _by_sets({name: markdown.not_run(of_set.rows) for name, of_set in joint.tables.items()})
    parts = [joint.caption, _table(joint.tables), *_legends(joint.tables), markdown.bullets(reasons)]
    for name, of_set in joint.tables.items():
        if cells := compare(of_set):
            parts += [f"Published beside measured, {name}:", markdown.compared_table(cells)]
    return "\n\n".join(part for part in parts if part)


def files(joint: JointTable) -> dict[str, str]:
    """Return the text of each file that is written, the JSON aside, by its suffix."""
    claimed = (markdown.claims_list(claims.of_table(of_set)) for of_set in joint.tables.values())
    text = "\n\n".join([printed(joint), *filter(None, claimed)])
    named = ({"topics": name} | row for name, of_set in joint.tables.items() for row in flat_records(of_set))
    return {".md": f"{text}\n", ".csv": to_csv(named)}


def record(joint: JointTable) -> dict[str, Any]:
    """Return the table for JSON: the figures by query set, whose own tables say the rest."""
    return {
        "collection": joint.name,
        "topics": {
            name: {
                "table": f"{of_set.collection}.json",
                "dataset": of_set.dataset,
                "queries": of_set.queries,
                "measures": [str(measure) for measure in of_set.measures],
            }
            for name, of_set in joint.tables.items()
        },
        "rows": list(_rows(joint)),
        "published": {
            name: [asdict(cell) for cell in compare(of_set)] for name, of_set in joint.tables.items()
        },
    }


def blocks(joint: JointTable) -> dict[str, str]:
    """Return what pages show, by the name of the block, if all systems are in it that they show."""
    if not joint.shown or shown_elsewhere(joint.name, joint.shown):
        return {}
    tables = {
        name: of_set.of([row for row in of_set.rows if row.system in joint.shown])
        for name, of_set in joint.tables.items()
    }
    return {f"table {joint.name}": _table(tables, page=True)}


def names_of(stored: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return the names of query sets in a joint table's record, in its order, by the names of their own
    tables; InputError if it has none.
    """
    try:
        return {of_set["table"].removesuffix(".json"): name for name, of_set in stored["topics"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: no table of several query sets; make it by the same command without --check"
        ) from error


def _table(tables: Mapping[str, Table], page: bool = False) -> str:
    """Render a line for each system: what depends on the queries for each query set, all else once.

    ``tables`` are those of the query sets, by the names that their columns begin with.
    """
    columns = list(_columns(tables, page))
    headers = [f"{name} {column.header}" if name else column.header for name, column in columns]
    systems = dict.fromkeys(row.system for of_set in tables.values() for row in of_set.rows)
    lines = []
    for system in systems:
        found = {name: of_set.row(system) for name, of_set in tables.items()}
        there = {name: row for name, row in found.items() if row}
        measured = {name: row for name, row in there.items() if row.status == "measured"}
        first = next(iter((measured or there).values()))
        rows = {**measured, "": first} if measured else {}
        cells = [column.cell(rows[name]) if name in rows else UNKNOWN for name, column in columns]
        for name, row in there.items():
            own = [place for place, (of_set, _) in enumerate(columns) if of_set == name]
            if name not in measured and (own or not measured):
                cells[own[0] if own else 0] = row.status
        lines.append([first.label, first.kind, *cells])
    return markdown.table(["system", "type", *headers], lines)


def _columns(tables: Mapping[str, Table], page: bool) -> Iterator[tuple[str, Column]]:
    """Yield the columns, each with its query set, an empty name where it depends on none.

    Unless they were asked for, those of queries are left to the query sets' own tables, measures excepted, so
    that a line has room.
    """
    asked = markdown.ON_PAGES if page else next(iter(tables.values())).columns
    of_queries = not page and asked != DEFAULT_COLUMNS
    for part in asked:
        for column in RESOURCES.get(part, ()):
            if not column.of_queries:
                yield "", column
        for name, of_set in tables.items():
            own = figure_columns(of_set, marks=not page) if part == "measures" else RESOURCES[part]
            for column in own:
                if column.of_queries and (of_queries or part == "measures"):
                    yield name, column


def _legends(tables: Mapping[str, Table]) -> list[str]:
    """Return what the marks of each query set mean; of one where nothing was compared, that, if another's
    systems were.
    """
    legends = {name: markdown.legend(of_set) for name, of_set in tables.items()}
    if not any(legends.values()):
        return []
    return _by_sets({name: [legend or "Nothing was compared."] for name, legend in legends.items()})


def _by_sets(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each of the query sets' lines once, behind the names of those that have it unless all have."""
    names: dict[str, list[str]] = {}
    for name, of_set in lines.items():
        for line in of_set:
            names.setdefault(line, []).append(name)
    return [
        line if len(of_line) == len(lines) else f"{', '.join(of_line)}: {line}"
        for line, of_line in names.items()
    ]


def _rows(joint: JointTable) -> Iterator[dict[str, Any]]:
    for name, of_set in joint.tables.items():
        for row in of_set.rows:
            yield {
                "topics": name,
                "system": row.system,
                "status": row.status,
                "figures": row.figures,
                "run": row.run,
                "run_sha256": row.run_sha256,
            }
