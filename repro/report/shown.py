"""What files and pages show of a table, compared with what its rows give."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from repro.report import tables
from repro.report.readme import pages, read_block
from repro.report.results import Table

TOLD = 5
"""Lines of a file that are told of many."""


def changed_renderings(table: Table, stored: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield each line of a file or of a page's block that is not what the table's rows give."""
    given = json.loads(json.dumps(tables.record(table)))
    yield from (
        f"{path}: {part!r} is not what its rows give"
        for part in ("text", "published", "claims")
        if stored.get(part) != given[part]
    )
    for suffix, text in tables.files(table).items():
        file = path.with_name(f"{table.collection}{suffix}")
        try:
            yield from _changed_lines(file, 1, file.read_text(encoding="utf-8").splitlines(), text)
        except (OSError, UnicodeDecodeError):
            yield f"{file} is missing or not UTF-8"
    blocks = tables.blocks(table)
    for page in pages():
        for name, text in blocks.items():
            if block := read_block(page, name):
                yield from _changed_lines(page, *block, text)
    if table.shown and (systems := sorted(tables.shown_elsewhere(table))):
        yield (
            f"README.md or docs/ shows {', '.join(systems)} on {table.collection}, and the table has no such "
            "row; make it with them"
        )


def _changed_lines(file: Path, first: int, lines: Sequence[str], text: str) -> Iterator[str]:
    """Yield the lines of a file, from line ``first`` on, that are not those of ``text``."""
    pairs = enumerate(zip_longest(lines, text.split("\n") if text else []), first)
    changed = [(number, found, given) for number, (found, given) in pairs if (found or "") != (given or "")]
    for number, found, given in changed[:TOLD]:
        yield f"{file}, line {number}: {_difference(found or '', given or '')}"
    if len(changed) > TOLD:
        yield f"{file}: {len(changed) - TOLD:,} more lines differ"


def _difference(found: str, given: str) -> str:
    """Say in what two lines differ: in which cells, if both are a table's."""
    cells = [[cell.strip() for cell in line.split("|")] for line in (found, given)]
    if len(cells[0]) == len(cells[1]) > 2 and cells[0] != cells[1]:
        pairs = [(one, other) for one, other in zip(*cells) if one != other]
        told = ", ".join(f"{one or 'nothing'} instead of {other or 'nothing'}" for one, other in pairs)
        return f"{cells[1][1]} has {told}"
    return f"found {found!r}, expected {given!r}"
