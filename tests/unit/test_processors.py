"""Which kernels there are for which processor, and that their sources compile for other systems."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

SOURCES = sorted((REPOSITORY / "native").glob("*.c"))
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def choose_on(machine: str, **environment: str) -> str:
    """What is said of the kernels on a ``machine``, as Python calls its processors."""
    program = (
        f"import platform; platform.machine = lambda: {machine!r}\n"
        "from repro import doctor; print(doctor.kernels().found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "REPRO_NATIVE": "", "PYTHONPATH": str(REPOSITORY), **environment},
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("machine", "own", "other"), [("arm64", "dotprod", "avx2"), ("AMD64", "avx2", "neon")]
)
def test_only_levels_of_this_processor_are_named(machine, own, other):
    refused = choose_on(machine, REPRO_NATIVE=other)
    levels = refused.partition(f"REPRO_NATIVE={other}: expected one of 0, ")[2].split(", ")
    assert own in levels and other not in levels


def test_other_processors_do_without():
    assert choose_on("riscv64") == "none, encoding is slower: there are none for riscv64 processors"


@pytest.mark.parametrize("target", ["aarch64-macos", "x86_64-macos", "x86_64-windows-gnu"])
def test_the_sources_compile_for_other_systems(target, tmp_path):
    pytest.importorskip("ziglang", reason="no cross compiler: pip install ziglang")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, *WARNINGS]
    for source in SOURCES:
        subprocess.run([*compiler, "-c", str(source), "-o", str(tmp_path / "kernels.o")], check=True)


def test_another_c_compiler_gets_no_kernels_and_no_errors(tmp_path):
    """One without GNU C's attributes, like Microsoft's."""
    if shutil.which("gcc") is None:
        pytest.skip("no GCC to compile as if it were another compiler")
    for source in SOURCES:
        plain = ["gcc", "-U__GNUC__", "-std=c89", "-pedantic", *WARNINGS]
        subprocess.run([*plain, "-c", str(source), "-o", str(tmp_path / "kernels.o")], check=True)
