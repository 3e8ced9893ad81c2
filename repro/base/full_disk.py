"""A disk that takes no more: known by what a library raises, and told with the name of what was written."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left, quota used up, and a file beyond the limit of its size."""


def refusal(error: BaseException | None) -> int | None:
    """Return which of ``REFUSALS`` an error stems from, by its number or by the system's words in it; None
    if from none.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return error.errno
        if number := quoted_refusal(str(error)):
            return number
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def quoted_refusal(text: str) -> int | None:
    """Return which of ``REFUSALS`` a text quotes in the C library's words (``strerror``); None if none.

    Java, FAISS and torch have no number in what they raise, but they quote it.
    """
    return next((number for number in REFUSALS if os.strerror(number) in text), None)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let a disk's refusal inside the block be an OSError that names a file: its own, or else ``path``.

    The system names the files that it cannot open, and not those that it cannot write to.
    """
    try:
        yield
    except Exception as error:
        number = refusal(error)
        if number is None or (isinstance(error, OSError) and error.filename):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
