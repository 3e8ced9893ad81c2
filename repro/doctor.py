"""Look at this machine: Python, Java, packages, memory, disk, kernels, models; name the fix of what lacks.

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
from repro.splade.native import choose

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
"""MS MARCO passage with all of the table's systems, extrapolated from msmarco-mini.

1.1 kB a passage for a SPLADE model's vectors and index; for a dense one's embeddings and index, twice 4 bytes
a dimension.
"""


class Check(NamedTuple):
    """One line of the report."""

    subject: str
    ok: bool
    found: str


def main(argv: list[str] | None = None) -> int:
    """Print every check; exit code 2 if the pipeline cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m repro.doctor", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("work"), help="the folder whose disk is looked at")
    args = parser.parse_args(argv)
    needed = [*machine(args.work), java(), *packages(), kernels()]
    models = list(weights())
    for check in (*needed, *models):
        print(f"{'ok ' if check.ok else 'NO '} {check.subject:<22} {check.found}")
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


def kernels() -> Check:
    """Check that the compiled kernels can be used, or done without: encoding works without them, slower.

    Not ok only if REPRO_NATIVE asks for some that cannot run here, since encoding refuses that.
    """
    try:
        choice = choose()
    except InputError as error:
        return Check("SPLADE kernels", False, str(error))
    if choice.kernels is not None:
        return Check("SPLADE kernels", True, f"compiled, for {choice.kernels.level.upper()}")
    return Check("SPLADE kernels", True, f"plain torch, slower: {choice.reason}")


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
