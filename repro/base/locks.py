"""Locks between processes: many may read an artifact at a time, one may make it.

A lock is ``flock`` on a file beside the artifact, so that it goes with the process that holds it,
however that dies. The file tells who holds it. It is removed by its last holder; whoever opened a file that
was removed meanwhile begins again.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from repro.base.errors import InputError
from repro.base.full_disk import writing
from repro.base.progress import note


@contextlib.contextmanager
def locked(path: Path, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, ``shared`` with other readers or alone; if it is taken, wait.

    Without ``wait``, InputError if it is taken; InputError on a file system that keeps no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
    try:
        if not shared:
            with writing(path):
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_holder()).encode(), 0)
        yield
    finally:
        _release(path, descriptor)


def _acquire(path: Path, kind: int, wait: bool) -> int:
    announced = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _try(path, descriptor, kind):
                holder = _describe(path)
                if not wait:
                    raise InputError(
                        f"{path.with_suffix('')} is in use by {holder}; wait for it, or leave --no-wait out"
                    )
                if not announced:
                    note(f"{path.with_suffix('').name}: waiting for {holder}")
                    announced = True
                fcntl.flock(descriptor, kind)
        except BaseException:
            os.close(descriptor)
            raise
        if _is(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed it


def _try(path: Path, descriptor: int, kind: int) -> bool:
    """Take the lock if it is free; tell whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise InputError(
            f"{path.parent} is on a file system that keeps no locks; put --work and --runs on one that does"
        ) from error
    return True


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
        place, since = f"process {holder['process']} on {holder['host']}", holder["since"]
        return f"{place} ({holder['command']}), since {since}"
    except (OSError, ValueError, KeyError, TypeError):  # readers leave no name
        return "another process"
