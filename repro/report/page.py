"""What an HTML page holds of a table: JSON that no text in it can end, read back to be checked."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.cli.shown_options import DEFAULT_COLUMNS
from repro.report.columns import UNKNOWN, cells, columns_of
from repro.report.results import Table

RECORD, CELLS = "record", "cells"
"""Blocks of a page: what ``<tables>/<collection>.json`` holds, and the table as it is shown."""
ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that mean something in HTML, or end a line of a script, as JSON may write them, too."""
SEAL = '<meta name="sha256" content="{}">'
"""What a page says of itself: the SHA-256 of all of it, with an empty one in this place."""


def sealed(page: str) -> str:
    """Return a page, in which ``SEAL`` stands empty, with its checksum there."""
    return page.replace(SEAL.format(""), SEAL.format(hashlib.sha256(page.encode()).hexdigest()), 1)


def _is_as_written(page: Path) -> bool:
    text = page.read_bytes().decode(errors="replace")
    return sealed(re.sub(SEAL.format("[0-9a-f]*"), SEAL.format(""), text, count=1)) == text


def data_block(name: str, value: Any) -> str:
    """Return a ``<script>`` element with ``value`` as JSON, which a browser does not run."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = re.sub("[<>&\u2028\u2029]", lambda found: ESCAPED[found[0]], text)
    return f'<script type="application/json" id="{name}">{safe}</script>'


def read_data_block(page: Path, name: str) -> Any:
    """Return the value of a page's block; None if it has no such block, or is no text.

    OSError if it cannot be read.
    """
    begin, end = f'<script type="application/json" id="{name}">', "</script>"
    try:
        return json.loads(page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0])
    except ValueError:
        return None


def shown_cells(table: Table) -> dict[str, Any]:
    """Return the table's headers, what its rows are called, and the text of each cell, of a row that was not
    run its status alone.
    """
    columns = columns_of(table)
    not_measured = [UNKNOWN] * (len(columns) - 1)
    rows = [
        [cell.strip() for cell in cells(row, columns)] or [row.status, *not_measured] for row in table.rows
    ]
    labels = [row.label for row in table.rows]
    return {"headers": [column.header for column in columns], "labels": labels, "rows": rows}


def changed_page(table: Table, stored: Mapping[str, Any], page: Path) -> Iterator[str]:
    """Yield what a page, if there is one, shows that is not the table's."""
    if not page.exists():
        return
    of_page, given = read_data_block(page, RECORD), dict(stored)
    if isinstance(of_page, dict):
        given["made"] = of_page.get("made")  # the same table may have been made again, without a page
    systems = shlex.quote(",".join(row.spec for row in table.rows))
    columns = "" if table.columns == DEFAULT_COLUMNS else f" --columns {','.join(table.columns)}"
    advice = f"the table's own command (with --systems {systems}{columns}) writes it anew"
    if json.loads(json.dumps(given)) != of_page or read_data_block(page, CELLS) != shown_cells(table):
        yield f"{page} shows another table; remove it, or {advice}"
    elif not _is_as_written(page):
        yield f"{page} was changed after it was written; remove it, or {advice}"
