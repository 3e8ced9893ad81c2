"""The optional compiled library of ``native/``: where it is, whether it fits, which of its levels is used.

It is built when the package is installed where there is a C compiler; everything works without it, slower. A
library that is there and cannot be used is told of once, and done without.
"""

import ctypes
import os
import platform
import site
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from repro.base.errors import InputError
from repro.base.progress import note
from repro.compiled.kernels import Kernels
from repro.compiled.levels import SHAPES

FILES = ("repro_native.abi3.so", "repro_native.pyd")
"""The library's names: setuptools' for an extension of every Python, on Linux and macOS, and on Windows."""
ABI = 6
"""What the library must answer to ``abi_<level>``, as in simd.h."""
LEVELS = tuple(level for level, shape in SHAPES.items() if platform.machine().lower() in shape.machines)
"""Sets of instructions that processors of this machine's kind may have, best first.

x86-64: AVX-512 with VNNI, AVX2 with AVX-VNNI, AVX2 alone, all with FMA. 64-bit ARM: NEON with products of
matrices of bytes (I8MM), with dot products of bytes, alone.
"""
CURE = "install the package again: pip install --force-reinstall --no-deps . in its checkout"


class UnusableLibraryError(Exception):
    """A library that is there but damaged or of another build; the message names the file."""


@dataclass(frozen=True)
class Choice:
    """The kernels to use; if None, ``reason`` says why, and ``damaged`` that they are there but unusable."""

    kernels: Kernels | None
    reason: str = ""
    damaged: bool = False


@cache
def kernels() -> Kernels | None:
    """Return the kernels that ``choose`` finds; note on stderr, once, if they are there but unusable."""
    choice = choose()
    if choice.damaged:
        note(f"warning: {choice.reason}; encoding without compiled kernels, slower")
    return choice.kernels


def choose() -> Choice:
    """Return the best kernels for this processor.

    The environment's REPRO_NATIVE names one of LEVELS to use that one, or is 0 to use none; InputError if it
    is something else, or names a level that cannot run here.
    """
    requested = os.environ.get("REPRO_NATIVE") or None
    if requested == "0":
        return Choice(None, "switched off by REPRO_NATIVE=0")
    if requested not in (None, *LEVELS):
        raise InputError(f"REPRO_NATIVE={requested}: expected one of {', '.join(('0', *LEVELS))}")
    choice = _choose([requested] if requested else LEVELS)
    if requested and choice.kernels is None:
        raise InputError(f"REPRO_NATIVE={requested} cannot be used: {choice.reason}")
    return choice


def _choose(levels: list[str] | tuple[str, ...]) -> Choice:
    if not levels:
        return Choice(None, f"there are none for {platform.machine()} processors")
    if not any(libraries()):
        return Choice(None, "none were built (no C compiler at installation?)")
    try:
        for level in levels:
            if (found := open_kernels(level)) is not None:
                return Choice(found)
    except UnusableLibraryError as error:
        return Choice(None, f"{error}; {CURE}", damaged=True)
    return Choice(None, f"this processor has no {' or '.join(levels).upper()}")


def open_kernels(level: str) -> Kernels | None:
    """Return the kernels of ``level``; None if none were built, or this processor lacks the instructions.

    UnusableLibraryError if all libraries that are there are damaged or of another build.
    """
    problem = None
    for path in libraries():
        try:
            return _open(path, level)
        except UnusableLibraryError as error:
            problem = problem or error
    if problem:
        raise problem
    return None


def libraries() -> Iterator[Path]:
    """Yield the files that may be the library: beside this package, then where packages are installed.

    The import system is not asked, since ``python -m`` has it look into the current folder first.
    """
    folders = [str(Path(__file__).parents[2]), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    for folder in dict.fromkeys(folders):
        yield from (path for name in FILES if (path := Path(folder, name)).is_file())


def _open(path: Path, level: str) -> Kernels | None:
    library = load(path)
    try:
        if not getattr(library, f"supported_{level}")():
            return None
        if (found := getattr(library, f"abi_{level}")()) != ABI:
            raise UnusableLibraryError(f"{path} is of another build (ABI {found}, expected {ABI})")
        return Kernels(library, level)
    except AttributeError as error:
        raise UnusableLibraryError(f"{path} is of another build (it lacks a function)") from error


def load(path: Path) -> ctypes.CDLL:
    """Return the library; UnusableLibraryError if it does not load."""
    try:
        if _is_cut_short(path):
            raise UnusableLibraryError(f"{path} is cut short")
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise UnusableLibraryError(f"{path} does not load ({error})") from error


def _is_cut_short(path: Path) -> bool:
    """Tell whether an ELF file ends before its segments do: loading it would be a bus error, no exception."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":  # another format, or another machine's: the loader says so
            return False
        if len(header) < 64:
            return True
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        segments = file.read(size * count)
    if len(segments) < size * count:
        return True
    length = path.stat().st_size
    return any(sum(struct.unpack_from("<Q16xQ", segments, size * i + 8)) > length for i in range(count))
