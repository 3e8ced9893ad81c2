"""List the commands: ``python -m repro``."""

import ast
import pkgutil
import sys
from pathlib import Path

import repro

FIRST = (
    *("table", "encode", "index", "search", "evaluate", "train", "distill", "split", "subset"),
    *("export", "bench"),
)
"""The order in which they are shown; others follow."""


def commands() -> dict[str, str]:
    """Return every command of the package with the first line of its documentation, without importing any."""
    folder = Path(repro.__file__).parent
    found = [m.name for m in pkgutil.iter_modules([str(folder)]) if not m.ispkg and m.name != "__main__"]
    names = [*(name for name in FIRST if name in found), *sorted(set(found) - set(FIRST))]
    return {name: _first_line(folder / f"{name}.py") for name in names}


def _first_line(path: Path) -> str:
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return documentation.split("\n")[0]


def main() -> int:
    """Print one line a command."""
    print(f"repro {repro.__version__}: reproducible learned-sparse retrieval\n")
    for name, documentation in commands().items():
        print(f"  python -m repro.{name:<9} {documentation}")
    print("\nEach has --help. Begin with: python -m repro.table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
