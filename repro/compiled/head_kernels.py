"""SPLADE's output layer: which terms may be positive in a text, and how much (``native/head.h``)."""

from typing import NamedTuple

import numpy as np

from repro.compiled.arguments import (
    DOUBLE,
    FLOAT,
    INT8,
    INT32,
    UINT8,
    address,
    address_of_ids,
    multiple,
    round_up,
)
from repro.compiled.byte_kernels import ByteKernels

MOST_DIMENSIONS = 2**17
"""Up to which sums of products of bytes stay below 2^31."""


class TermBounds(NamedTuple):
    """Of each packed term, float64: bias, norm and rounding error, times its scale (``screening.py``)."""

    bias: np.ndarray
    norm: np.ndarray
    error: np.ndarray


class TextBounds(NamedTuple):
    """Of each text, float64: its scale, and times it the rounding error and the norm (``screening.py``)."""

    scale: np.ndarray
    error: np.ndarray
    norm: np.ndarray


class HeadKernels(ByteKernels):
    """Screens terms, and computes those that are left."""

    def screen(
        self, hidden: np.ndarray, packed: np.ndarray, terms: TermBounds, texts: TextBounds
    ) -> list[np.ndarray]:
        """Return, for each text, the ids (int32, ascending) of the terms whose upper bound is positive.

        hidden: int8, texts x length x d, by ``round_texts``; packed: by ``pack_terms``. ``head.h`` has the
        bound.
        """
        count, length, d = hidden.shape
        multiple("d", d, 4)
        blocks = len(packed)
        if d > MOST_DIMENSIONS:
            raise ValueError(f"hidden: expected at most {MOST_DIMENSIONS} dimensions, got {d}")
        if d % 16:  # as the terms' rows are
            hidden = np.pad(hidden, ((0, 0), (0, 0), (0, -d % 16)))
            d = hidden.shape[2]
        start = np.empty((count, length, -(-d // (self.shape.chunk or d))), np.int32)
        found = np.empty((count, blocks * self.terms), np.int32)
        counts = np.empty(count, np.int64)
        self._kernels["head_screen"](
            address("hidden", hidden, INT8, (count, length, d)),
            count,
            length,
            d,
            address("packed", packed, UINT8, (blocks, d // self.group, self.terms, self.group)),
            blocks,
            *(address("bound of terms", bound, DOUBLE, (blocks * self.terms,)) for bound in terms),
            *(address("bound of texts", bound, DOUBLE, (count,)) for bound in texts),
            start.ctypes.data,
            found.ctypes.data,
            counts.ctypes.data,
        )
        return [row[:number] for row, number in zip(found, counts)]

    def exact(
        self, hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray, terms: np.ndarray
    ) -> np.ndarray:
        """Return the float32 max-pooled logits of ``terms`` (int32 ids) in one text.

        hidden: float32, tokens x d, at least one token; weight: float32, vocabulary x d; bias: float32.
        """
        tokens, d = hidden.shape
        if not tokens:
            raise ValueError("hidden: expected at least one token")
        logits = np.empty(len(terms), np.float32)
        workspace = np.empty(d * round_up(tokens), np.float32)
        self._kernels["head_exact"](
            address("hidden", hidden, FLOAT, (tokens, d)),
            tokens,
            d,
            address("weight", weight, FLOAT, (len(weight), d)),
            address("bias", bias, FLOAT, (len(weight),)),
            address_of_ids("terms", terms, INT32, (len(terms),), len(weight)),
            len(terms),
            workspace.ctypes.data,
            logits.ctypes.data,
        )
        return logits
