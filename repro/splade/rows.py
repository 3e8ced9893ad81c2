"""From token ids to SPLADE weights: batches of equal length without padding, one worker thread a core.

``body.py`` has the layers up to the output layer, ``head.py`` the output layer.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.sparse import csr_matrix

from repro.splade.body import CompiledBody, ModelBody
from repro.splade.head import MaxPooledHead, Row

# oneDNN keeps a compiled primitive for each shape that it met, a thousand of them by default; batches here
# come in many shapes, and memory would grow with the collection. Read at the first product, not at import.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

BATCH_TOKENS = 768
"""Tokens in a batch on a CPU: the activations of one layer stay near a core's cache."""
CUDA_BATCH_TOKENS = 32_768


def start_workers(threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads each compute on one core."""
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


class RowEncoder:
    """A body and a head, at work in the threads of ``workers``."""

    def __init__(
        self, body: CompiledBody | ModelBody, head: MaxPooledHead, workers: ThreadPoolExecutor
    ) -> None:
        self.body, self.head, self.workers = body, head, workers
        self.batch_tokens = CUDA_BATCH_TOKENS if head.weight.is_cuda else BATCH_TOKENS

    def start(self, tokens: Sequence[Sequence[int] | np.ndarray]) -> Iterator[tuple[int, Row]]:
        """Let the workers begin on texts, each a list of token ids, and return their results as they come.

        They are (position, row) in an order of their own; a text without a token has none.
        """
        batches = list(_batches([len(ids) for ids in tokens], self.batch_tokens))
        encoded = self.workers.map(self._encode, ([tokens[i] for i in batch] for batch in batches))
        return (pair for batch, rows in zip(batches, encoded) for pair in zip(batch, rows))

    def _encode(self, tokens: list[Sequence[int] | np.ndarray]) -> list[Row]:
        return self.head.pool(self.body(np.array(tokens, np.int64)))


def in_order(found: Iterator[tuple[int, Row]], texts: int) -> list[Row]:
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


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield the positions of texts of one length, longest first, at most ``batch_tokens`` tokens together.

    Texts without a token, which a tokenizer without [CLS] and [SEP] makes of nothing, are in none.
    """
    by_length = defaultdict(list)
    for i, length in enumerate(lengths):
        if length:
            by_length[length].append(i)
    for length in sorted(by_length, reverse=True):
        size = max(1, batch_tokens // length)
        positions = by_length[length]
        yield from (positions[start : start + size] for start in range(0, len(positions), size))
