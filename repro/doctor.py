"""Look at this machine: Python, Java, packages, memory, disk, kernels, models; name the fix of what lacks.

    python -m repro.doctor

Exit code 0 if BM25 and at least one learned system can run, 2 if not.
"""

import argparse
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from repro.base.errors import InputError
from repro.base.memory import free_memory, machine_memory
from repro.cli.guard import guarded
from repro.compiled.native import choose
from repro.forecast.counted import Least, least
from repro.lucene.java import anserini_jar, find_java
from repro.lucene.version import lucene_version
from repro.models.systems import System, table_systems
from repro.models.weights import resolve

PROJECT = "splade-tiny-msmarco"
"""Its metadata, which are pyproject.toml's, say which Python and which versions of packages are needed."""
PACKAGES = (
    "faiss-cpu",
    "ir_datasets",
    "ir_measures",
    "pyserini",
    "sentence-transformers",
    "torch",
    "transformers",
)
LEAST_MEMORY_GB = 4
LEAST_DISK_GB = 2
PLAN = "python -m repro.table --collection msmarco-passage/dev --plan"


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
    needed = SpecifierSet(_metadata()["Requires-Python"])
    version = ".".join(map(str, sys.version_info[:3]))
    fits = needed.contains(version, prereleases=True)
    yield Check("Python", fits, version if fits else f"{version}; needs {needed}")
    memory, needs = machine_memory() / 2**30, least()
    processors = f"{memory:.0f} GiB, {os.cpu_count()} processors"
    yield Check("memory", memory >= LEAST_MEMORY_GB, processors + little_memory(free_memory(), needs))
    folder = next(p for p in (work.absolute(), *work.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.0f} GB free at {folder}{little_disk(free, needs)}"
    yield Check("disk", free >= LEAST_DISK_GB * 1e9, found)


def little_memory(free: int, needs: Least) -> str:
    """Return the warning for too few free bytes of memory for MS MARCO; empty if there are enough."""
    if free >= needs.memory:
        return ""
    return (
        f"; {free / 1e9:.1f} GB of it free, and a stage of MS MARCO's table takes up to "
        f"{needs.memory / 1e9:.1f} GB and what its libraries need: end other programs, or see {PLAN}"
    )


def little_disk(free: int, needs: Least) -> str:
    """Return the warning for too few free bytes on the disk for MS MARCO; empty if there are enough."""
    if free >= needs.disk:
        return ""
    return (
        f"; on MS MARCO the vectors of the {len(needs.dense)} dense systems alone take "
        f"{needs.disk / 1e9:.0f} GB (counted): leave some out, or name a --work on another disk; see {PLAN}"
    )


def _metadata() -> importlib.metadata.PackageMetadata:
    try:
        return importlib.metadata.metadata(PROJECT)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            f"{PROJECT} is not installed in this Python: run pip install '.[offline]' in its checkout"
        ) from None


def java() -> Check:
    """Check that a Java new enough for Anserini is found, and say where."""
    try:
        found = find_java()
        jar = f"{anserini_jar().name} with Lucene {lucene_version()}"
        return Check("Java", True, f"{found.major} at {found.home} (from {found.found_in}); {jar}")
    except InputError as error:
        return Check("Java", False, str(error))


def kernels() -> Check:
    """Check that the compiled kernels can be used, or done without: encoding works without them, slower.

    Not ok only if REPRO_NATIVE asks for some that cannot run here, since encoding refuses that.
    """
    try:
        choice = choose()
    except InputError as error:
        return Check("compiled kernels", False, str(error))
    if choice.kernels is not None:
        return Check("compiled kernels", True, f"for {choice.kernels.level.upper()}")
    return Check("compiled kernels", True, f"none, encoding is slower: {choice.reason}")


def packages() -> Iterator[Check]:
    """Check that the packages are installed, in versions that this package was made for."""
    requirements = [Requirement(line) for line in _metadata().get_all("Requires-Dist", [])]
    for requirement in requirements:
        if requirement.name in PACKAGES and (requirement.marker is None or requirement.marker.evaluate()):
            yield _package(requirement)


def _package(requirement: Requirement) -> Check:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Check(requirement.name, False, "not installed: run pip install '.[offline]'")
    if requirement.specifier.contains(version, prereleases=True):
        return Check(requirement.name, True, version)
    needed = f"needs {requirement.specifier}: run pip install '.[offline]'"
    return Check(requirement.name, False, f"{version}; {needed}")


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
