"""Look at this machine: Python, Java, packages, memory, disk, and the weights of each system; name the fix of what lacks.

    python -m repro.doctor

Exit code 0 if BM25 and at least one learned system can run, 2 if not.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.lucene.java import anserini_jar, find_java
from repro.models.systems import System, table_systems
from repro.models.weights import resolve
from repro.splade.native import kernels

PACKAGES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "faiss-cpu",
    "pyserini",
    "ir-datasets",
    "ir-measures",
)
LEAST_MEMORY_GB = 4
LEAST_DISK_GB = 2
CORPUS_DISK_GB = 180
"""MS MARCO passage with all of the table's systems, extrapolated: 1.1 kB a passage for a SPLADE model's vectors and
index (measured on msmarco-mini), and twice 4 bytes a dimension for a dense one's embeddings and index."""


class Check(NamedTuple):
    """One line of the report."""

    what: str
    ok: bool
    found: str


def main(argv: list[str] | None = None) -> int:
    """Print every check; exit code 2 if the pipeline cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m repro.doctor", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("work"), help="the folder whose disk is looked at")
    args = parser.parse_args(argv)
    needed = [*machine(args.work), java(), *packages()]
    models = list(weights())
    for check in (*needed, *models):
        print(f"{'ok ' if check.ok else 'NO '} {check.what:<22} {check.found}")
    print(f"    {'fast SPLADE encoding':<22} {fast_encoding()}")
    if all(check.ok for check in needed) and any(check.ok for check in models):
        print("\nready: python -m repro.table")
        return 0
    print("\nnot ready: see the lines with NO")
    return 2


def machine(work: Path) -> Iterator[Check]:
    """Check Python, processors, memory and disk."""
    version = sys.version_info
    yield Check(
        "Python",
        (3, 11) <= version[:2] < (3, 12),
        f"{platform.python_version()}"
        + ("" if version[:2] == (3, 11) else "; needs 3.11 (Pyserini 1.6.0 does)"),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Check("memory", memory >= LEAST_MEMORY_GB, f"{memory:.0f} GiB, {os.cpu_count()} processors")
    folder = next(p for p in (work.absolute(), *work.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free / 1e9
    enough = f"; MS MARCO with all systems takes about {CORPUS_DISK_GB} GB" if free < CORPUS_DISK_GB else ""
    yield Check("disk", free >= LEAST_DISK_GB, f"{free:.0f} GB free at {folder}{enough}")


def java() -> Check:
    """Check that a Java new enough for Anserini is found, and say where."""
    try:
        found = find_java()
        return Check(
            "Java", True, f"{found.major} at {found.home} (from {found.found_in}); {anserini_jar().name}"
        )
    except InputError as error:
        return Check("Java", False, str(error))


def fast_encoding() -> str:
    """Say whether the compiled kernels are there and fit this processor; without them encoding works, slower."""
    if (found := kernels()) is not None:
        return f"int8 screening, compiled kernels for {found.level.upper()}"
    return "no compiled kernels: none built (no C compiler at installation?), or no AVX2; plain torch instead"


def packages() -> Iterator[Check]:
    """Check that the packages are installed."""
    for package in PACKAGES:
        try:
            yield Check(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Check(package, False, "not installed: run pip install '.[offline]'")


def weights() -> Iterator[Check]:
    """Check, for each learned system of the table, whether its weights can be had."""
    for system in table_systems().values():
        if system.kind != "bm25":
            yield _weights_of(system)


def _weights_of(system: System) -> Check:
    try:
        found = resolve(system, download=False)
        return Check(system.name, True, found.source)
    except InputError as error:
        return Check(system.name, False, str(error))


if __name__ == "__main__":
    sys.exit(guarded(main))
