"""A process that measures: what it takes is its own, as a stage's is, and torch, Java and FAISS stay apart.

    python -m repro.forecast.worker

``measure`` starts it. From stdin come the name of a generator and its arguments, to stdout goes what it
yields, one by one, all of it pickled.
"""

import os
import pickle
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from repro.base.errors import InputError
from repro.cli.guard import guarded


def measure(generator: str, **arguments: Any) -> Iterator[Any]:
    """Yield what ``generator`` ("module:function") yields in a process of its own.

    It gets the time at which that was started (``begun``, of ``time.time``) and ``arguments``. InputError if
    the process fails, with what it has told.
    """
    command = [sys.executable, "-m", __name__]
    with tempfile.TemporaryFile() as told:
        job = pickle.dumps((generator, {"begun": time.time(), **arguments}))
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told)
        with process:
            assert process.stdin is not None and process.stdout is not None
            with process.stdin as to:
                to.write(job)
            while process.stdout.peek(1):  # type: ignore[attr-defined]  # a BufferedReader
                yield pickle.load(process.stdout)
        if process.returncode != 0:
            told.seek(0)
            lines = told.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1].removeprefix("error: ") if lines else f"exit code {process.returncode}"
            raise InputError(f"calibrating ({generator.rpartition(':')[2]}) failed: {reason}")


def main() -> int:
    """Do the job that comes from stdin."""
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what libraries print is no reply
        generator, arguments = pickle.load(sys.stdin.buffer)
        for result in pkgutil.resolve_name(generator)(**arguments):
            pickle.dump(result, replies)
            replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
