"""What the base itself makes of the rows that it is to be trained on: its margins, and its active terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from repro.base.progress import bar
from repro.splade.encoder import SpladeEncoder
from repro.training.rows import passages_of

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK = 10_000
"""Rows whose texts' weights are held at a time; a text that several of them have is encoded once."""


@dataclass(frozen=True)
class BaseMargins:
    """``margins`` of a base, rows x negatives (float32): score(query, positive) - score(query, negative).

    ``query_terms`` and ``document_terms`` are the mean numbers of its active terms.
    """

    margins: np.ndarray
    query_terms: float
    document_terms: float


def base_margins(rows: "Dataset", base: Path, max_length: int, threads: int) -> BaseMargins:
    """Encode the rows' texts with the model in the folder ``base``; scores are dot products of weights."""
    encoder, columns = SpladeEncoder(base, threads), passages_of(rows)
    margins, terms = [], np.zeros(2)
    with bar(len(rows), "scoring with the base", "rows") as progress:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            queries, of_query = encoded(encoder, part["query"], max_length)
            texts = [text for column in columns for text in part[column]]
            passages, of_text = encoded(encoder, texts, max_length)
            weights = queries[of_query]
            scores = np.stack(
                [
                    np.asarray(weights.multiply(passages[of_column]).sum(axis=1)).ravel()
                    for of_column in np.split(of_text, len(columns))
                ],
                axis=1,
            )
            margins.append((scores[:, :1] - scores[:, 1:]).astype(np.float32))
            size = len(part["query"])
            terms += size * np.array([queries.nnz / queries.shape[0], passages.nnz / passages.shape[0]])
            progress.update(size)
    query_terms, document_terms = (terms / len(rows)).tolist()
    return BaseMargins(np.concatenate(margins), query_terms, document_terms)


def encoded(encoder: SpladeEncoder, texts: Sequence[str], max_length: int) -> tuple[csr_matrix, np.ndarray]:
    """Return the weights of the different texts, and where in them each text stands."""
    places: dict[str, int] = {}
    order = np.array([places.setdefault(text, len(places)) for text in texts])
    return encoder.encode(places, max_length), order
