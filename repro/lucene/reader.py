"""An index opened for reading by Lucene's own reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repro.lucene.errors import opening
from repro.lucene.java import start_jvm

FIELD = "contents"
"""Of Anserini's indexes, which has the terms."""


@contextmanager
def open_reader(index: Path) -> Iterator[Any]:
    """Yield an index's ``org.apache.lucene.index.IndexReader``, and close it.

    InputError if the folder is no index that can be read.
    """
    start_jvm()
    from jnius import autoclass, cast

    path = autoclass("java.nio.file.Paths").get(str(index.resolve()))
    with opening(index):
        directory = autoclass("org.apache.lucene.store.FSDirectory").open(path)
        opened = autoclass("org.apache.lucene.index.DirectoryReader").open(directory)
        try:
            yield cast("org.apache.lucene.index.IndexReader", opened)
        finally:
            opened.close()
