"""A collection's table, printed and written: Markdown, CSV, JSON, and the blocks of pages that show it.

All that is written follows from the table alone, so that ``pipeline.checking`` can compare it with what is
there.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from repro.artifacts.provenance import provenance
from repro.base.errors import InputError
from repro.base.files import read_json, write_json, write_text
from repro.base.progress import note
from repro.cli.options import SystemOptions
from repro.cli.shown_options import column_names
from repro.collections.scan import CorpusSummary
from repro.evaluation.comparison import TESTS, Comparison
from repro.evaluation.measures import parse_measures
from repro.models.systems import System, table_systems
from repro.report import claims, markdown
from repro.report.columns import mark
from repro.report.published import compare, published
from repro.report.readme import pages, shown_systems, update_block
from repro.report.results import Row, Table, as_csv, as_records

ORIGINAL = "The reproduced README's own sentences, and whether their numbers follow from its figures:"

DIFFERENCES = (
    "Differences of means over queries with their 95 % intervals (bootstrap), Cohen's d of paired values, "
    "corrected p-values, and the queries on which a system is better, equal, worse:"
)


def write_table(table: Table, folder: Path, show: bool = True) -> dict[str, Any]:
    """Write ``table`` to ``folder``, and what pages show of it to these; print it, unless told otherwise.

    Return what was written as JSON. A page's table is left alone if a system that it shows would go.
    """
    if show:
        print(printed(table))
    return write_results(table.collection, files(table), record(table), blocks(table), folder)


def write_results(
    name: str, texts: Mapping[str, str], of: Mapping[str, Any], shown: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """Write the files of a table called ``name``, its record, and its blocks of pages; return the record."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    for suffix, text in texts.items():
        write_text(Path(f"{path}{suffix}"), text)
    stored = {**of, "made": provenance()}
    write_json(Path(f"{path}.json"), stored)
    wrote = [f"{path}.md, .csv, .json"]
    for page in pages():
        updated = [block for block, text in shown.items() if update_block(page, block, text)]
        wrote += [str(page)] if any(name in block for block in updated) else []
    note(f"wrote {' and '.join(wrote)}")
    return stored


def printed(table: Table) -> str:
    """Return the table as it is printed: the rows, why some were not run, and what was published of them."""
    parts = [table.caption, markdown.measured_table(table), markdown.not_run_list(table.rows)]
    if cells := compare(table):
        parts += ["Published beside measured:", markdown.compared_table(cells)]
    return "\n\n".join(part for part in parts if part)


def files(table: Table) -> dict[str, str]:
    """Return the text of each file that is written, the JSON aside, by its suffix."""
    parts, measured = [printed(table)], claims.of_table(table)
    if table.comparisons:
        parts += [DIFFERENCES, markdown.differences_table(table)]
    if claimed := markdown.claims_list(measured):
        parts.append(claimed)
    if compare(table):
        evidences = [*map(claims.of_readme, claims.REVISIONS), measured]
        parts += [ORIGINAL, markdown.original_list(evidences)]
    elif systems := _with_published_figures(table):
        heading = "Published on MS MARCO passage dev, not measured here:"
        parts += [heading, markdown.published_table(systems)]
    return {".md": "\n\n".join(parts) + "\n", ".csv": as_csv(table)}


def record(table: Table) -> dict[str, Any]:
    """Return the table for JSON, with all that is needed to check it."""
    return {
        "collection": table.collection,
        "dataset": table.dataset,
        "text": table.text,
        "corpus": asdict(table.corpus),
        "queries": table.queries,
        "judgments": table.judgments,
        "measures": [str(measure) for measure in table.measures],
        "options": asdict(table.options),
        "shown": list(table.shown),
        "columns": list(table.columns),
        "baseline": table.baseline,
        "correction": table.correction,
        "comparisons": [asdict(of) | {"mark": mark(of)} for of in table.comparisons],
        "rows": as_records(table),
        "published": [asdict(cell) for cell in compare(table)],
        "claims": claims.sentences(claims.of_table(table)),
    }


def read_record(path: Path) -> dict[str, Any]:
    """Return what a table's file holds; InputError if there is none."""
    stored: dict[str, Any] | None = read_json(path)
    if stored is None:
        raise InputError(f"{path}: no table there; make it first, by the same command without --check")
    return stored


def read_table(path: Path) -> tuple[Table, dict[str, Any]]:
    """Return the table that a file holds, and the file's content; InputError if it holds none."""
    stored = read_record(path)
    try:
        groups = {entry.name: type(getattr(SystemOptions(), entry.name)) for entry in fields(SystemOptions)}
        table = Table(
            collection=stored["collection"],
            queries=stored["queries"],
            measures=parse_measures(stored["measures"]),
            rows=[_read_row(record) for record in stored["rows"]],
            corpus=CorpusSummary(**stored["corpus"]),
            dataset=stored["dataset"],
            judgments=stored["judgments"],
            options=SystemOptions(**{name: of(**stored["options"][name]) for name, of in groups.items()}),
            shown=tuple(stored["shown"]),
            columns=column_names(",".join(stored["columns"])),
            baseline=stored["baseline"],
            correction=_known(stored["correction"]),
            comparisons=tuple(map(_read_comparison, stored["comparisons"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: no table as this version writes it ({reason}); make it by the same command without "
            "--check"
        ) from error
    return table, stored


def blocks(table: Table) -> dict[str, str]:
    """Return what pages show, by the name of the block: published figures, and the rows ``shown``.

    The latter only if all systems that pages show of the collection are among them.
    """
    evidences = [claims.of_readme(revision) for revision in claims.REVISIONS]
    said = [*map(markdown.claims_list, evidences), ORIGINAL, markdown.original_list(evidences)]
    found = {
        "published": markdown.published_table(table_systems().values()),
        "claims published": "\n\n".join(said),
    }
    if table.shown and not shown_elsewhere(table.collection, table.shown):
        rows = table.of([row for row in table.rows if row.system in table.shown])
        found[f"table {table.collection}"] = markdown.page_table(rows)
        found[f"claims {table.collection}"] = markdown.claims_list(claims.of_table(rows))
    return found


def shown_elsewhere(collection: str, shown: Collection[str]) -> set[str]:
    """Return the systems that pages show of the collection and that are not among the rows ``shown``."""
    found = (shown_systems(page, f"table {collection}") for page in pages())
    return set().union(*found) - set(shown)


def _with_published_figures(table: Table) -> list[System]:
    names = [of.name for of in published() if of.figures and any(map(of.of, table.rows))]
    return [table_systems()[name] for name in names if name in table_systems()]


def _known(correction: str) -> str:
    if correction not in TESTS:
        raise ValueError(f"correction {correction!r}")
    return correction


def _read_comparison(record: Mapping[str, Any]) -> Comparison:
    return Comparison(**{name: value for name, value in record.items() if name != "mark"})


def _read_row(record: Mapping[str, Any]) -> Row:
    intervals = {name: (low, high) for name, (low, high) in record["intervals"].items()}
    return Row(**{**record, "intervals": intervals})
