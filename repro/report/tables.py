"""A collection's table, printed and written: Markdown, CSV, JSON, and the block of a page that shows it."""

from collections.abc import Iterable
from pathlib import Path

from repro.artifacts.provenance import provenance
from repro.base.files import write_json, write_text
from repro.base.progress import note
from repro.models.systems import System, table_systems
from repro.report import markdown
from repro.report.readme import pages, shown_systems, update_block
from repro.report.results import Row, Table, as_csv, as_records


def write_table(table: Table, systems: Iterable[System], folder: Path, shown: list[Row]) -> None:
    """Print ``table`` and write it to ``folder``, and the rows ``shown`` to the page that has its block.

    The page is left alone if a system that it shows would go.
    """
    text = f"{table.caption}\n\n{markdown.measured_table(table)}"
    if not_run := markdown.not_run_list(table.rows):
        text += f"\n\n{not_run}"
    print(text)
    published = [system for system in systems if system.published]
    if published:
        published_text = markdown.published_table(published)
        text += f"\n\nPublished on MS MARCO passage dev, not measured here:\n\n{published_text}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / table.collection
    write_text(Path(f"{path}.md"), text + "\n")
    write_text(Path(f"{path}.csv"), as_csv(table))
    record = {
        "collection": table.collection,
        "queries": table.queries,
        "measures": [str(measure) for measure in table.measures],
        "rows": as_records(table),
        "made": provenance(),
    }
    write_json(Path(f"{path}.json"), record)
    wrote = [f"{path}.md, .csv, .json", *_write_pages(table, shown)]
    note(f"wrote {' and '.join(wrote)}")


def _write_pages(table: Table, rows: list[Row]) -> list[str]:
    """Bring the blocks of README.md and docs/ up to date; return the pages that have the table's."""
    block = f"table {table.collection}"
    text = markdown.measured_table(table.of(rows), machine=False)
    wrote = []
    for page in pages():
        whole = bool(rows) and shown_systems(page, block) <= {row.system for row in rows}
        if whole and update_block(page, block, text):
            wrote.append(str(page))
        update_block(page, "published", markdown.published_table(table_systems().values()))
    return wrote
