"""README's generated blocks, which stand between markers."""

from pathlib import Path


def pages() -> list[Path]:
    """Return the pages of the current folder that may have blocks: README.md and those in docs/."""
    return [path for path in (Path("README.md"), *sorted(Path("docs").glob("*.md"))) if path.is_file()]


def shown_systems(path: Path, name: str) -> set[str]:
    """Return the first column of the table that stands in a file's block; empty if there is none."""
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    block = content.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    return {line.split("|")[1].strip() for line in block.splitlines()[3:] if line.startswith("|")}


def update_block(path: Path, name: str, text: str) -> bool:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a file; tell whether it has such a block."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if not path.is_file():
        return False
    content = path.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        return False
    head, rest = content.split(begin, 1)
    tail = rest.split(end, 1)[1]
    updated = f"{head}{begin}\n{text}\n{end}{tail}"
    if updated != content:
        path.write_text(updated, encoding="utf-8")
    return True
