"""README's generated blocks: what stands between ``<!-- name -->`` and ``<!-- /name -->``."""

from pathlib import Path

from repro.base.files import write_text


def pages() -> list[Path]:
    """Return the pages of the current folder that may have blocks: README.md and those in docs/."""
    return [path for path in (Path("README.md"), *sorted(Path("docs").glob("*.md"))) if path.is_file()]


def read_block(path: Path, name: str) -> tuple[int, list[str]] | None:
    """Return what stands in a file's block: the number of its first line in the file, and its lines.

    None if the file has no such block.
    """
    content = _content(path)
    if (place := _interior(content, name)) is None:
        return None
    start, end = place
    lines = content[start:end].splitlines()[1:]  # the first is the rest of the marker's line
    return content.count("\n", 0, start) + 2, lines


def shown_systems(path: Path, name: str) -> set[str]:
    """Return the first column of the table that stands in a file's block; empty if there is none."""
    _, lines = read_block(path, name) or (0, [])
    return {line.split("|")[1].strip() for line in lines[2:] if line.startswith("|")}


def update_block(path: Path, name: str, text: str) -> bool:
    """Replace what stands in a file's block, in one atomic step; tell whether it has such a block.

    A block is whole if both markers occur once, in order, and no other marker between them: else the file is
    left alone. Lines end as the file's do, and every byte outside the block stays.
    """
    content = _content(path)
    if (place := _interior(content, name)) is None:
        return False
    start, end = place
    newline = "\r\n" if "\r\n" in content else "\n"
    lines = "".join(f"{line}{newline}" for line in ("", *text.split("\n")))
    updated = f"{content[:start]}{lines}{content[end:]}"
    if updated != content:
        write_text(path.resolve(), updated)  # a link stays a link
    return True


def _interior(content: str, name: str) -> tuple[int, int] | None:
    """Return start and end of what stands between the markers of a whole block; None if there is none."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if content.count(begin) != 1 or content.count(end) != 1:
        return None
    first, last = content.index(begin) + len(begin), content.index(end)
    if first > last or "<!--" in content[first:last]:
        return None
    return first, last


def _content(path: Path) -> str:
    """Return a file's text, line ends as they are; empty if there is no such file or it is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        return ""
