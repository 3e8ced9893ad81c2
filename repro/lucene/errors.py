"""What a Java exception means, in words for a user: no names of classes, no stack."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from repro.base.errors import InputError
from repro.base.full_disk import refusal

if TYPE_CHECKING:
    from jnius import JavaException

MEANINGS = {
    "AccessDeniedException": "permission to {file} is denied",
    "CorruptIndexException": "{file} is damaged or missing",
    "EOFException": "{file} is damaged or missing",
    "FileAlreadyExistsException": "{file} is a file, not a folder",
    "IndexFormatTooNewException": "it was written by a newer Lucene",
    "IndexFormatTooOldException": "it was written by an older Lucene",
    "IndexNotFoundException": "there is no index in this folder",
    "LockObtainFailedException": "another process is writing to it",
    "NoSuchFileException": "{file} is missing",
    "NotDirectoryException": "{file} is a file, not a folder",
    "OutOfMemoryError": "Java's memory is used up (fewer --threads need less)",
}
"""By a class's name without its package; ``{file}`` is the file that the exception names."""

FULL = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would be larger than is allowed here",
}

NEWER = re.compile(r"indexCreatedVersionMajor is in the future|Could not load codec '")
"""What Lucene says of an index of a newer major version, or of a newer codec."""

FILE = re.compile(r'(?:path="|resource=)(/[^")]+)|^(/[^:]+)$')
CLASS = re.compile(r"(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:: *|@\w+)?")


def java_error(error: "JavaException") -> str:
    """Return why Java threw ``error``, as part of a sentence."""
    message = (error.innermessage or "").strip()
    if full := refusal(error):  # in the causes of what an index writer throws, too
        return FULL[full]
    if NEWER.search(message):
        return MEANINGS["IndexFormatTooNewException"]
    name = (error.classname or "").rpartition(".")[2]
    if name in MEANINGS:
        found = FILE.search(message)
        return MEANINGS[name].format(file=PurePath(found[1] or found[2]).name if found else "a file")
    first = CLASS.sub("", message).strip().splitlines()
    return first[0].rstrip(".") if first else "Java gave no reason"


@contextmanager
def opening(index: Path) -> Iterator[None]:
    """Raise InputError, in a user's words, for what Java throws while it opens ``index``.

    A folder that is missing is refused before Lucene makes one of that name. The JVM must be running.
    """
    from jnius import JavaException

    try:
        if not index.is_dir():
            raise InputError(_unreadable(index, "there is no such folder"))
        yield
    except JavaException as error:
        raise InputError(_unreadable(index, java_error(error))) from error


def _unreadable(index: Path, reason: str) -> str:
    return (
        f"{index} is no Lucene index that can be read: {reason}; build it with python -m repro.index --force"
    )
