"""List the commands, or run one: ``splade-repro``, ``splade-repro table ...``, or by ``python -m repro``."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import repro
from repro.base.errors import InputError
from repro.cli.guard import guarded

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


def main(argv: list[str] | None = None) -> int:
    """Run the command that is named first, as ``python -m repro.<command>`` does; without one, list them."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in commands():
        return importlib.import_module(f"repro.{name}").main(arguments)
    if name not in ("-h", "--help"):
        raise InputError(f"there is no command {name}: expected one of {', '.join(commands())}")
    print(f"repro {repro.__version__}: reproducible learned-sparse retrieval\n")
    for command, documentation in commands().items():
        print(f"  python -m repro.{command:<9} {documentation}")
    print("\nEach has --help. Begin with: python -m repro.table")
    print("`splade-repro table` is the same, and so for the others.")
    return 0


def console() -> int:
    """Run ``main`` as the console script ``splade-repro``: errors are sentences and exit codes."""
    return guarded(main)


if __name__ == "__main__":
    sys.exit(console())
