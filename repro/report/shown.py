"""What files and pages show of a table, compared with what its rows give."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from repro.report import joint, tables
from repro.report.page import changed_page
from repro.report.readme import pages, read_block
from repro.report.results import Table

TOLD = 5
"""Lines of a file that are told of many."""


def changed_renderings(table: Table, stored: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield each line of a file or of a page's block that is not what the table's rows give."""
    for part in _changed_parts(("text", "comparisons", "published", "claims"), tables.record(table), stored):
        yield f"{path}: {part!r} is not what its rows give"
    yield from _changed_texts(table.collection, table.shown, tables.files(table), tables.blocks(table), path)
    yield from changed_page(table, stored, path.with_suffix(".html"))


def changed_joint(table: joint.JointTable, stored: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield what is not what its query sets' tables give: parts of a joint table, lines that show it."""
    given = joint.record(table)
    for part in _changed_parts(given, given, stored):
        yield f"{path}: {part!r} is not what the tables of its query sets give"
    yield from _changed_texts(table.name, table.shown, joint.files(table), joint.blocks(table), path)


def _changed_parts(
    parts: Iterable[str], given: Mapping[str, Any], stored: Mapping[str, Any]
) -> Iterator[str]:
    given = json.loads(json.dumps(given))
    yield from (part for part in parts if stored.get(part) != given[part])


def _changed_texts(
    name: str, shown: Sequence[str], texts: Mapping[str, str], blocks: Mapping[str, str], path: Path
) -> Iterator[str]:
    """Yield what differs in the files beside ``path``, by their suffix, and in the blocks of pages."""
    for suffix, text in texts.items():
        file = path.with_name(f"{name}{suffix}")
        try:
            yield from _changed_lines(file, 1, file.read_text(encoding="utf-8").splitlines(), text)
        except (OSError, UnicodeDecodeError):
            yield f"{file} is missing or not UTF-8"
    for page in pages():
        for block, text in blocks.items():
            if there := read_block(page, block):
                yield from _changed_lines(page, *there, text)
    if shown and (systems := sorted(tables.shown_elsewhere(name, shown))):
        yield (
            f"README.md or docs/ shows {', '.join(systems)} on {name}, and the table has no such "
            "row, or it failed; make it with them"
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
