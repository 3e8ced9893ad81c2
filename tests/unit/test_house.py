"""Packages are as docs/design.md draws them: commands at the top, arrows one way, every command listed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import repro
from repro.__main__ import commands

ROOT = Path(repro.__file__).parent
LAYERS = [
    {"base"},
    {"compiled"},
    {"formats", "collections"},
    {"cli"},
    {"models"},
    {"lucene", "dense", "splade", "postings"},
    {"engines", "evaluation"},
    {"artifacts", "report", "library"},
    {"pipeline", "submission"},
    {"distillation", "exporting", "forecast"},
    {"webreport"},
    {"training"},
    {"benchmarks"},
]
"""From the bottom; a package imports its own layer and those below."""
HEAVY = {"torch", "faiss", "jnius", "pyserini", "transformers", "sentence_transformers", "pandas"}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_only_commands_stand_at_the_top_and_each_is_listed():
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set(commands())
    assert all(len(line) > 20 for line in commands().values())
    for module in modules:
        tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
        assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, module


def test_every_package_has_its_layer():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set().union(*LAYERS)


@pytest.mark.parametrize("package", sorted(set().union(*LAYERS)))
def test_a_package_imports_its_own_layer_and_those_below(package):
    level = next(i for i, layer in enumerate(LAYERS) if package in layer)
    allowed = set().union(*LAYERS[: level + 1])
    for path in sorted((ROOT / package).rglob("*.py")):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "repro" and len(parts) > 1 and name != "repro.__version__":
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_nothing_below_the_commands_reads_a_command_line():
    """Options are typed values made once, in a command's ``main``; only cli knows argparse."""
    readers = {path.parent.name for path in ROOT.glob("*/**/*.py") if "argparse" in imports(path)}
    assert readers <= {"cli"}


def test_help_and_the_list_of_commands_load_no_heavy_library():
    code = (
        "import sys, runpy\nsys.argv = ['repro.table', '--help']\n"
        "try: runpy.run_module('repro.table', run_name='__main__')\nexcept SystemExit: pass\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]" and "--collection" in done.stdout
