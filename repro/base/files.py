"""Files: checksums, JSON that is whole or not there, names, sizes."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from repro.base.full_disk import writing


def canonical(value: object) -> str:
    """Return JSON that is the same for equal values: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, line ends as they are, as ``write_bytes`` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one atomic step; it is on the disk when this returns."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path), open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # as on a full disk


def write_json(path: Path, value: object) -> None:
    """Write indented JSON to ``path``, as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a contiguous array as NumPy's ``save`` does, whose error for a full disk does not say so."""
    with writing(path), open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in ``path``; None if there is no such file, or anything else in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Have a file in two places, without a copy of it where the file system can."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one that has no links
        shutil.copyfile(source, target)


def own_bytes(path: Path) -> int:
    """Return what removing all files below ``path`` would free, in bytes: links to files elsewhere count
    nothing.
    """
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file() and f.stat().st_nlink == 1)


def folder_bytes(path: Path) -> int:
    """Return the size of all files below ``path``, in bytes."""
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def file_name(name: str) -> str:
    """Make ``name`` fit for a file name: letters, digits, '.', '_' and '-', all else a '-'."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def flush(path: Path, below: bool = True) -> None:
    """Flush a file, or a folder and (if ``below``) all in it, to the disk (fsync)."""
    if path.is_dir() and below:
        for entry in sorted(path.iterdir()):
            flush(entry)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
