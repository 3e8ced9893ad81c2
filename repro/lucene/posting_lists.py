"""All lists of postings of an index of impacts, in the order of their terms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from repro.formats.ciff import PostingsList
from repro.lucene.errors import opening
from repro.lucene.java import start_jvm

DOCIDS = 2**16
"""Documents whose ids are fetched at a time."""


class PostingsReader:
    """An open index, each of whose lists is read once. Use as a context manager.

    ``documents`` counts them; they are numbered from 0 up. InputError if the folder is no Lucene index.
    """

    def __init__(self, index: Path) -> None:
        start_jvm()
        from jnius import autoclass

        with opening(index):
            self._reader = autoclass("repro.PostingsReader")(str(index.resolve()))
        self.documents: int = self._reader.documents()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def lists(self) -> Iterator[PostingsList]:
        """Yield the lists that were not read yet, terms in the order of their UTF-8."""
        while (term := self._reader.next()) is not None:
            numbers = np.frombuffer(self._reader.postings().tostring(), dtype="<i4")
            documents, impacts = np.split(numbers, 2)
            yield PostingsList(term, documents, impacts)

    def docids(self) -> Iterator[str]:
        """Yield the ids of all documents, in the order of their numbers."""
        for start in range(0, self.documents, DOCIDS):
            lines = self._reader.docids(start, min(self.documents, start + DOCIDS)).tostring()
            yield from lines.decode().split("\n")[:-1]
