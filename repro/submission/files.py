"""Run files as they lie on the disk: compressed or not, with ir_metadata's header or not, in some form."""

import bz2
import contextlib
import gzip
import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from repro.base.errors import InputError

Form = Literal["trec", "msmarco", "json"]
FORMS: tuple[Form, ...] = ("trec", "msmarco", "json")
HEADER_START, HEADER_END = b"# ir_metadata.start", b"# ir_metadata.end"
LONGEST_LINE = 1 << 16
"""Bytes of a line that is looked at for what it is."""
GZIP, BZIP2 = b"\x1f\x8b", b"BZh"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a run file, decompressed if it is gzip or bzip2, whatever its name.

    InputError if there is no such file, or if its compressed data are cut off or damaged.
    """
    unpack = _unpacker(path)
    if unpack is None:
        with open(path, "rb") as file:
            yield file
        return
    try:
        with unpack(path) as packed:
            # readline of GzipFile and BZ2File is written in Python, BufferedReader's in C
            yield cast(BinaryIO, io.BufferedReader(packed))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path) from error
    except OSError as error:
        if error.errno is not None:  # bz2 has no class of its own for damaged data
            raise
        raise _damaged(path) from error


def _unpacker(path: Path) -> Callable[[Path], Any] | None:
    """Return what opens a compressed file, by its first bytes; None if it is not compressed."""
    if not path.is_file():
        kind = "is no regular file" if path.exists() else "there is no such run file"
        raise InputError(f"{path}: {kind}; name a run, compressed (gzip, bzip2) or not")
    with open(path, "rb") as file:
        start = file.read(3)
    return gzip.open if start[:2] == GZIP else bz2.open if start == BZIP2 else None


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: the compressed file is cut off or damaged; fetch or make it again")


@contextlib.contextmanager
def plain(path: Path) -> Iterator[Path]:
    """Yield the path of the lines alone: the file itself, or a copy without compression and header.

    The copy is gone when the context ends.
    """
    with opened(path) as file:
        header = read_header(file)
        if not header and _unpacker(path) is None:
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="run-") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield Path(copy.name)


def read_header(file: BinaryIO) -> list[bytes]:
    """Return the lines of ir_metadata's header, both its ends included, if the file begins with one.

    The file then stands behind it. A header that does not end goes to the last line that is a comment.
    """
    lines: list[bytes] = []
    before = file.tell()
    while (line := file.readline(LONGEST_LINE)).startswith(b"#" if lines else HEADER_START):
        lines.append(line)
        before = file.tell()
        if line.rstrip() == HEADER_END:
            break
    file.seek(before)
    return lines


def form_of(path: Path) -> Form:
    """Return the form of a run by its first line: ranx's JSON, MS MARCO's three columns, or TREC's six.

    InputError if it is none of them.
    """
    with opened(path) as file:
        read_header(file)
        line = file.readline(LONGEST_LINE)
    if line.lstrip()[:1] == b"{":
        return "json"
    if len(line.split()) == 6:
        return "trec"
    if len(line.split()) == 3:
        return "msmarco"
    raise InputError(
        f"{path}, line 1: neither TREC's six columns, nor MS MARCO's three, nor JSON; "
        f"found {line.strip()[:60]!r}"
    )


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written in one atomic step, compressed if its name ends with .gz or .bz2.

    The same contents give the same bytes each time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            if path.suffix == ".bz2":
                with bz2.open(file, "wb") as packed:
                    yield cast(BinaryIO, packed)
            elif path.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped:
                    yield cast(BinaryIO, zipped)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
