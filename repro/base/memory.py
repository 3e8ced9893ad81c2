"""Memory: what this process has taken at most, and what the machine has."""

import contextlib
import os
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
MACHINE = Path("/proc/meminfo")


def peak_memory(status: Path = STATUS) -> float:
    """Return this process's peak resident memory, in MB (2^20 bytes).

    Linux hands ``ru_maxrss`` on from the process that started this one; ``VmHWM`` is this one's own.
    """
    if status.exists():
        return _kilobytes(status, "VmHWM") / 1024
    return megabytes(resource.getrusage(resource.RUSAGE_SELF))


def reset_peak() -> None:
    """Have ``peak_memory`` tell the peak from now on, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        (STATUS.parent / "clear_refs").write_text("5", encoding="utf-8")


def megabytes(usage: resource.struct_rusage) -> float:
    """Return the peak resident memory that the operating system has recorded, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kB elsewhere
    return usage.ru_maxrss * unit / 1024**2


def machine_memory() -> int:
    """Return the machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_memory(machine: Path = MACHINE) -> int:
    """Return the bytes that a new process can have without swapping; where no system tells, all there are."""
    return 1024 * _kilobytes(machine, "MemAvailable") if machine.exists() else machine_memory()


def _kilobytes(file: Path, name: str) -> int:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
