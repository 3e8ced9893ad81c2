"""Seconds that work takes where nothing else runs, told by its processor time: a busy machine's clock would
say how busy that was.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = Path("/proc/self/task")
COMPILERS = ("C1 Compiler", "C2 Compiler")
"""What Java calls the threads that compile; short work is half theirs, long work hardly any."""


def seconds_of(work: Callable[[], Any], threads: int, alone: bool = True) -> float:
    """Return the seconds that ``work`` takes with so many ``threads``, and no compiling by Java.

    ``alone``: the calling thread's part is done while the others wait (of Lucene: what Python does);
    otherwise it is one of them.
    """
    before = _now()
    work()
    whole, own, compiling = (after - earlier for after, earlier in zip(_now(), before))
    shared = min(threads, os.cpu_count() or 1)
    if not alone:
        return whole / shared
    return own + max(0.0, whole - own - compiling) / shared


def _now() -> tuple[float, float, float]:
    """Return the processor seconds of the process, of this thread, and of Java's compilers, as far as the
    system tells them (Linux).
    """
    return time.process_time(), time.thread_time(), sum(map(_compiling, THREADS.glob("*")))


def _compiling(thread: Path) -> float:
    try:
        if not (thread / "comm").read_text().startswith(COMPILERS):
            return 0.0
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except OSError:  # it has ended, or the kernel does not count
        return 0.0
