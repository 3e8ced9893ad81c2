"""Locks between processes: many may read an artifact at a time, one may make it.

A lock is ``flock`` on a file beside the artifact, so that it goes with the process that holds it, however that dies. The
file tells who holds it. It is removed by its last holder; whoever opened a file that was removed meanwhile begins again.
"""

import contextlib
import datetime
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from repro.base.errors import InputError
from repro.base.progress import note


@contextlib.contextmanager
def locked(path: Path, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, ``shared`` with other readers or alone; if it is taken, wait, else InputError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
    try:
        if not shared:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_holder()).encode(), 0)
        yield
    finally:
        _release(path, descriptor)


def _acquire(path: Path, kind: int, wait: bool) -> int:
    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _describe(path)
            if not wait:
                os.close(descriptor)
                raise InputError(
                    f"{path.with_suffix('')} is in use by {holder}; wait for it, or leave --no-wait out"
                ) from None
            if not told:
                note(f"{path.with_suffix('').name}: waiting for {holder}")
                told = True
            fcntl.flock(descriptor, kind)
        if _is(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed it


def _release(path: Path, descriptor: int) -> None:
    """Remove the lock file if nobody else holds it, and let it go."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(path, descriptor):  # under this lock nobody else removes it
            path.unlink()
    os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "since": datetime.datetime.now().isoformat(timespec="seconds", sep=" "),
    }


def _describe(path: Path) -> str:
    """Say who holds a lock file."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return (
            f"process {holder['process']} on {holder['host']} ({holder['command']}), since {holder['since']}"
        )
    except (OSError, ValueError, KeyError, TypeError):  # readers leave no name
        return "another process"
