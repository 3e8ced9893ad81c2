"""An impact index of Lucene's, built from vectors or texts."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from repro.base.errors import InputError
from repro.base.files import remove
from repro.collections.model import check_id
from repro.formats.impact_vectors import ImpactVector, shard_path, write_shard
from repro.lucene.indexing import Indexing, build_impact_index
from repro.lucene.searching import LARGEST_IMPACT

if TYPE_CHECKING:
    from repro.splade.encoder import SpladeEncoder

Vector = Mapping[str, int]
"""A document or a query: term -> impact, integers from 1 up."""

CHUNK = 8192
"""Documents that are held at a time."""


class Index:
    """A Lucene index of impacts in the folder ``path``: made by ``build``, by ``python -m repro.index``, or
    by Anserini.

    InputError if there is no such folder; whether it is an index shows when it is searched.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"{self.path}: there is no such index; make one with Index.build")

    @classmethod
    def build(
        cls,
        path: str | Path,
        documents: Iterable[tuple[str, str | Vector]],
        encoder: "SpladeEncoder | None" = None,
        *,
        prefix: str = "",
        threads: int | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Index ``documents``, pairs of an id and a vector, or with ``encoder`` of an id and a text.

        They are read once, a chunk at a time; ``prefix`` is put before each text. The index equals the one
        that Anserini builds of the same vectors, posting for posting: documents without any term are left
        out. It is put at ``path`` when it is whole; until then its vectors lie beside it.

        InputError for an id that a run cannot hold, or that comes a second time; for what is no vector, or no
        text; for a path that is taken, unless ``overwrite``.
        """
        path, threads = Path(path), threads or os.cpu_count() or 1
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists; give another path, or overwrite=True")
        vectors, made = (path.with_name(f"{path.name}.{part}-{os.getpid()}") for part in ("vectors", "made"))
        try:
            vectors.mkdir(parents=True)
            count = _write(vectors, _checked(documents), encoder, prefix)
            build_impact_index(vectors, made, count, Indexing(threads), {})
            remove(path)
            made.rename(path)
        finally:
            remove(vectors)
            remove(made)
        return cls(path)


def as_vector(value: object, where: str) -> dict[str, int]:
    """Return a vector, with Python's integers; InputError, which begins with ``where``, if it is none.

    Its terms hold no blanks, its impacts are integers from 1 to 2^31 - 1.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected {{term: impact}}, or an encoder for texts")
    for term, impact in value.items():
        if not isinstance(term, str) or term.split() != [term]:
            raise InputError(f"{where}: expected terms that are words without blanks, found {term!r}")
        if not isinstance(impact, int | np.integer) or not 1 <= impact <= LARGEST_IMPACT:
            raise InputError(f"{where}: expected integers from 1 to 2^31 - 1 as impacts, found {impact!r}")
    return {term: int(impact) for term, impact in value.items()}


def _checked(documents: Iterable[tuple[str, str | Vector]]) -> Iterator[tuple[str, str | Vector]]:
    seen = set()
    for identifier, content in documents:
        if check_id(identifier, "documents") in seen:
            raise InputError(f"documents: the id {identifier!r} comes a second time")
        seen.add(identifier)
        yield identifier, content


def _write(
    folder: Path,
    documents: Iterator[tuple[str, str | Vector]],
    encoder: "SpladeEncoder | None",
    prefix: str,
) -> int:
    """Write the documents' vectors, a shard a chunk; return their number."""
    count = 0
    for number in itertools.count():
        chunk = list(itertools.islice(documents, CHUNK))
        if not chunk:
            break
        ids = [identifier for identifier, _ in chunk]
        vectors: Iterable[dict[str, int]]
        if encoder is None:
            vectors = (as_vector(vector, f"document {identifier}") for identifier, vector in chunk)
        else:
            vectors = encoder.impacts([_text(*document) for document in chunk], prefix=prefix)
        write_shard(shard_path(folder, number), map(ImpactVector, ids, itertools.repeat(""), vectors))
        count += len(chunk)
    if not count:
        raise InputError("documents: none to index")
    return count


def _text(identifier: str, content: str | Vector) -> str:
    if not isinstance(content, str):
        raise InputError(f"document {identifier}: expected a text for the encoder, found {content!r}")
    return content
