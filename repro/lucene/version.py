"""Lucene's version, and which indexes it reads: its own and older ones back to the previous major version."""

import re
import zipfile
from functools import cache

from repro.lucene.java import anserini_jar

POM = "META-INF/maven/io.anserini/anserini/pom.xml"
FIRST = "9.9.1"
"""Pyserini 1.6.0's, with which all indexes were built whose manifests do not name a version."""


@cache
def lucene_version() -> str:
    """Return the version of the Lucene in the installed Pyserini, as ``9.9.1``; the JVM is not started."""
    with zipfile.ZipFile(anserini_jar()) as jar:
        found = re.search(r"<lucene\.version>([\d.]+)<", jar.read(POM).decode())
    if found is None:
        raise ValueError(f"{anserini_jar()}: {POM} names no version of Lucene")
    return found[1]


def unreadable(written_by: dict[str, str]) -> str | None:
    """Return why the installed Lucene cannot read an index, as part of a sentence; None if it can.

    A newer Lucene's index may have parts that an older one does not know, even of the same major version.
    """
    written, installed = written_by.get("lucene", FIRST), lucene_version()
    if _numbers(installed)[0] - 1 <= _numbers(written)[0] and _numbers(written) <= _numbers(installed):
        return None
    return f"was written by Lucene {written}, which the installed Pyserini's Lucene {installed} cannot read"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
