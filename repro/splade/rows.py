"""From token ids to SPLADE weights: batches of equal length without padding, one worker thread a core.

``compiled/body.py`` has the layers up to the output layer, ``head.py`` the output layer.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.sparse import csr_matrix

from repro.compiled.batches import BATCH_TOKENS, Results, Tokens, equal_lengths, start
from repro.compiled.body import CompiledBody
from repro.splade.bypass import ModelBody
from repro.splade.head import MaxPooledHead, Row

# oneDNN keeps a compiled primitive for each shape that it met, a thousand of them by default; batches here
# come in many shapes, and memory would grow with the collection. Read at the first product, not at import.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

CUDA_BATCH_TOKENS = 32_768


class RowEncoder:
    """A body and a head, at work in the threads of ``workers``."""

    def __init__(
        self, body: CompiledBody | ModelBody, head: MaxPooledHead, workers: ThreadPoolExecutor
    ) -> None:
        self.body, self.head, self.workers = body, head, workers
        self.batch_tokens = CUDA_BATCH_TOKENS if head.weight.is_cuda else BATCH_TOKENS

    def start(self, tokens: Tokens) -> Results[Row]:
        """Let the workers begin on texts, and return their results as ``batches.start`` does."""
        batches = equal_lengths([len(ids) for ids in tokens], self.batch_tokens)
        return start(self.workers, self._encode, tokens, batches)

    def _encode(self, batch: list[np.ndarray]) -> list[Row]:
        return [row for ids in batch for row in self.head.pool(self.body(ids))]


def in_order(found: Iterable[tuple[int, Row]], texts: int) -> list[Row]:
    """Return the rows of so many texts in their order; those that were not found are empty."""
    rows: list[Row] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * texts
    for i, row in found:
        rows[i] = row
    return rows


def to_matrix(rows: list[Row], terms: int) -> csr_matrix:
    """Return rows as a float32 matrix, texts x terms, the term ids of a row ascending."""
    starts = np.cumsum([0, *(len(ids) for ids, _ in rows)])
    ids = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in rows)])
    weights = np.concatenate([np.empty(0, np.float32), *(weights for _, weights in rows)])
    matrix = csr_matrix((weights, ids, starts), shape=(len(rows), terms))
    matrix.has_canonical_format = True
    return matrix
