"""The kernels for ARM, cross-compiled and run in an emulated processor, in place of a loaded library."""

import ctypes
import importlib.util
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

from repro.compiled.byte_kernels import PART
from repro.compiled.layer_kernels import BLOCK_TOKENS, MOST_TOKENS, PANEL_DEPTH, ROWS
from repro.compiled.levels import SHAPES
from repro.compiled.loaded import COUNT, POINTER

SOURCES = sorted((REPOSITORY / "native").glob("*.c"))
DRIVER = Path(__file__).parent / "emulated_driver.c"
FLAGS = ["-O3", "-fPIC", "-Wall", "-Wextra", "-Werror"]
CROSS_GCC = "aarch64-linux-gnu-gcc"
OLD_LINUX = "aarch64-linux-gnu.2.17"
"""The oldest C library that manylinux2014's wheels serve."""
FLOAT = 4


def zig(target: str) -> list[str]:
    """Return the command of a C compiler for another system; skip where it is not installed."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no cross compiler: pip install ziglang")
    return [sys.executable, "-m", "ziglang", "cc", "-target", target]


def emulator() -> str:
    """Return the program that runs ARM programs; skip where there is none."""
    for name in ("qemu-aarch64", "qemu-aarch64-static"):
        if (path := shutil.which(name)) is not None:
            return path
    pytest.skip("no emulator of ARM processors: apt-get install qemu-user")


def build(compiler: str, folder: Path) -> Path:
    """Compile all kernels with ``compiler``, gcc or zig (Clang); return the driver that calls them."""
    gcc = [CROSS_GCC] if shutil.which(CROSS_GCC) else None
    if compiler == "gcc" and gcc is None:
        pytest.skip("no cross compiler: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    compile_kernels = gcc if compiler == "gcc" else zig(OLD_LINUX if gcc else "aarch64-linux-musl")
    link = gcc or compile_kernels  # zig makes the C library first, which takes minutes
    program, objects = folder / "driver", [folder / f"{source.stem}.o" for source in SOURCES]
    for source, made in zip(SOURCES, objects):
        subprocess.run([*compile_kernels, *FLAGS, "-c", str(source), "-o", str(made)], check=True)
    subprocess.run(
        [*link, *FLAGS, "-static", str(DRIVER), *map(str, objects), "-o", str(program)], check=True
    )
    return program


class EmulatedLibrary:
    """What ``Kernels`` calls as if it were loaded: ``driver`` on an emulated ``cpu``."""

    def __init__(self, driver: Path, cpu: str) -> None:
        self.process = subprocess.Popen(
            [emulator(), "-cpu", cpu, str(driver)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __getattr__(self, name: str) -> "Function":
        return Function(self.process, name)

    def close(self) -> None:
        """End the emulator."""
        self.process.stdin.close()
        assert self.process.wait() == 0


class Function:
    """A C function of the driver: called with addresses in this process, whose memory goes there and back."""

    argtypes: tuple = ()

    def __init__(self, process: subprocess.Popen, name: str) -> None:
        self.process, self.name = process, name

    def __call__(self, *values) -> int:
        kernel, _, level = self.name.rpartition("_")
        sizes = iter(MEMORY[kernel](level, *values) if values else ())
        request, written = [struct.pack("<32sq", self.name.encode(), len(values))], []
        for type_, value in zip(self.argtypes, values):
            if type_ is COUNT:
                request.append(struct.pack("<qq", ord("n"), value))
            elif type_ is not POINTER:
                request.append(struct.pack("<qf", ord("r"), value))
            else:
                size, kind = next(sizes)
                if value is None:
                    request.append(struct.pack("<q", ord("0")))
                    continue
                request.append(struct.pack("<qq", ord(kind), size) + ctypes.string_at(value, size))
                if kind == "w":
                    written.append((value, size))
        self.process.stdin.write(b"".join(request))
        self.process.stdin.flush()
        (result,) = struct.unpack("<q", self._receive(8))
        for address, size in written:
            ctypes.memmove(address, self._receive(size), size)
        return result & 0xFFFFFFFF  # an int, where it is not void

    def _receive(self, size: int) -> bytes:
        received = self.process.stdout.read(size)
        assert len(received) == size, f"{self.name} ended the emulator: exit code {self.process.wait()}"
        return received


def padded(length: int) -> int:
    """Round up as the kernels' workspaces are."""
    return -(-length // 16) * 16


def rows_named(ids: int, count: int, dtype: type) -> int:
    """Return how many rows a table must have for the ids at an address."""
    return (
        int(np.frombuffer(ctypes.string_at(ids, count * np.dtype(dtype).itemsize), dtype).max(initial=-1)) + 1
    )


def floats(count: int, kind: str = "m") -> tuple[int, str]:
    """Return the size of so many float32 numbers."""
    return FLOAT * count, kind


def embed_memory(level, ids, texts, length, d, words, positions, x):
    """Return the size of what each pointer leads to, and whether it is written; so do the next ones."""
    tokens = texts * length
    tables = [floats(rows_named(ids, tokens, np.int64) * d), floats(length * d)]
    return [(8 * tokens, "m"), *tables, floats(tokens * d, "w")]


def linear_memory(level, x, tokens, inputs, packed, bias, out, with_gelu, workspace, y):
    copied = min(tokens, BLOCK_TOKENS) * min(inputs, PANEL_DEPTH)
    read = [floats(tokens * inputs), floats(inputs * out), floats(out), floats(copied)]
    return [*read, floats(tokens * out, "w")]


def linear_int8_memory(level, x, tokens, inputs, packed, factor, bias, out, with_gelu, workspace, y, longest):
    rows = -(-out // SHAPES[level].terms) * SHAPES[level].terms
    parts = -(-inputs // PART)
    copied = (min(tokens, BLOCK_TOKENS) + MOST_TOKENS) * (inputs // 4 + 2 * parts)
    read = [floats(tokens * inputs), (rows * inputs, "m"), floats(parts * rows), floats(rows), floats(copied)]
    return [*read, floats(tokens * out, "w")]


def attention_memory(level, qkv, texts, length, queries, d, head, workspace, context):
    copied = (2 * head + ROWS) * padded(length)
    return [floats(3 * texts * length * d), floats(copied), floats(texts * queries * d, "w")]


def add_normalise_memory(level, x, added, tokens, d, gain, bias, epsilon):
    return [floats(tokens * d, "w"), floats(tokens * d), floats(d), floats(d)]


def round_memory(level, vectors, groups, length, d, largest, *rounded):
    count = groups * length * d
    return [floats(count), (count, "w"), *[(8 * groups, "w")] * 3]


def screen_memory(level, hidden, texts, length, d, packed, blocks, *bounds):
    tokens, terms = texts * length, blocks * SHAPES[level].terms
    of_terms, of_texts = [(8 * terms, "m")] * 3, [(8 * texts, "m")] * 3
    found = [(4 * tokens, "m"), (4 * texts * terms, "w"), (8 * texts, "w")]
    return [(tokens * d, "m"), (terms * d, "m"), *of_terms, *of_texts, *found]


def exact_memory(level, hidden, tokens, d, weight, bias, terms, count, workspace, logits):
    rows = rows_named(terms, count, np.int32)
    tables = [floats(tokens * d), floats(rows * d), floats(rows)]
    return [*tables, (4 * count, "m"), floats(d * padded(tokens)), floats(count, "w")]


MEMORY: dict[str, Callable] = {
    "body_embed": embed_memory,
    "body_linear": linear_memory,
    "body_linear_int8": linear_int8_memory,
    "body_attention": attention_memory,
    "body_add_normalise": add_normalise_memory,
    "head_round": round_memory,
    "head_screen": screen_memory,
    "head_exact": exact_memory,
}
