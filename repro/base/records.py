"""Text files of a record a line: gzipped or not, in bounded memory, each fault told by its line."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from repro.base.errors import InputError

LONGEST_LINE = 1 << 26
"""Bytes: far more than any record has, and little enough to hold."""


def bounded_lines(file: IO[bytes], path: Path, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """Yield the lines of an open file with their ends; InputError if one has more than ``longest`` bytes.

    No more than that is held of a file without line ends, or of gzip that inflates to gigabytes.
    """
    for number, line in enumerate(iter(partial(file.readline, longest + 1), b""), 1):
        if len(line) > longest:
            raise InputError(
                f"{path}, line {number}: longer than {longest >> 20:,} MiB; expected text, a record a line"
            )
        yield line


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, gzipped (``.gz``) or not, numbered from 1, without a byte-order mark.

    InputError for a damaged file, one that is not UTF-8, or a line beyond all bounds; OSError if it cannot be
    opened.
    """
    number = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            # GzipFile's own readline is written in Python, BufferedReader's in C
            for number, line in enumerate(bounded_lines(io.BufferedReader(file), path), 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: not UTF-8; convert the file to UTF-8") from None
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise InputError(
                f"{path}, after line {number}: the gzip file is cut off or damaged; fetch or make it again"
            ) from None


def parse_object(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` is; InputError, which begins with ``where``, if it is none."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg}); expected one object a line") from None
    except RecursionError:
        raise InputError(f"{where}: JSON nested too deep; expected one flat object a line") from None
    except ValueError:  # Python reads integers of 4,300 digits at most
        raise InputError(f"{where}: a number has too many digits; expected one object a line") from None
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object and found {text.strip()[:40]!r}")
    return value
