"""Rows of floats as bytes, and rows of weights laid out for products of bytes (``native/bytes.h``)."""

from typing import NamedTuple

import numpy as np

from repro.compiled.arguments import FLOAT, INT8, address, aligned, describe, round_up
from repro.compiled.levels import TERM_LARGEST, TERM_NORM
from repro.compiled.loaded import Loaded

PART = 128
"""Numbers of a row of a layer that have a scale together, as in bytes.h."""
LARGEST = 127
"""What the largest number of a text becomes, at most, when it is rounded to int8."""


class Bytes(NamedTuple):
    """Groups of vectors, each times its ``scale`` and then rounded.

    values: int8, groups x length x d, d rounded up to a multiple of 16; scale, norm (largest of the group's
    rounded vectors) and error (largest distance of a scaled vector from its rounded one): groups, float64.
    """

    values: np.ndarray
    scale: np.ndarray
    norm: np.ndarray
    error: np.ndarray


class ByteKernels(Loaded):
    """Rounds and packs, for screening and for layers in int8."""

    def round_texts(self, hidden: np.ndarray) -> Bytes:
        """Round float32 hidden states, texts x tokens x d and finite, to what ``screen`` takes."""
        return self._round(hidden, LARGEST, self.shape.text_norm)

    def round_terms(self, weight: np.ndarray) -> Bytes:
        """Round float32 weights, terms x 1 x d and finite, to what ``pack_terms`` takes."""
        return self._round(weight, self.largest, self.shape.term_norm)

    def round_rows(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Round float32 weights of a layer, outputs x inputs and finite, each PART of a row by its own scale.

        Return int8, outputs x inputs, which ``pack_terms`` takes, and scales, parts x outputs. With 7 bits
        and a limit of their norms, as AVX2 needs it, on every processor: vectors of one are those of another
        but for what float32 sums in another order make of them.
        """
        columns = (weight[:, first : first + PART] for first in range(0, weight.shape[1], PART))
        parts = [self._round(np.ascontiguousarray(of[:, None]), TERM_LARGEST, TERM_NORM) for of in columns]
        return np.concatenate([of.values[:, 0] for of in parts], axis=1), np.stack([of.scale for of in parts])

    def _round(self, vectors: np.ndarray, largest: int, longest: float) -> Bytes:
        if vectors.shape[2] % 16:
            vectors = np.pad(vectors, ((0, 0), (0, 0), (0, -vectors.shape[2] % 16)))
        groups, length, d = vectors.shape
        rounded = Bytes(np.empty(vectors.shape, np.int8), *np.empty((3, groups)))
        self._kernels["head_round"](
            address("vectors", vectors, FLOAT, (groups, length, d)),
            groups,
            length,
            d,
            largest,
            *(array.ctypes.data for array in rounded),
            longest,
        )
        return rounded

    def pack_terms(self, quantised: np.ndarray) -> np.ndarray:
        """Lay int8 weights, terms x d, out as head_screen reads them: bytes, blocks x d / g x terms x g.

        They are from ``round_terms``. Of the level's ``group`` g; d rounded up to a multiple of 16. What is
        beyond the last is zeros.
        """
        if quantised.dtype != INT8 or quantised.ndim != 2 or quantised.shape[1] % 4:
            raise ValueError(f"terms: expected int8, terms x d, d a multiple of 4, got {describe(quantised)}")
        if quantised.size and max(int(quantised.max()), -int(quantised.min())) > self.largest:
            raise ValueError(f"terms: expected magnitudes up to {self.largest}")
        terms, d = quantised.shape
        blocks, width = -(-terms // self.terms), round_up(d)
        padded = np.full((blocks * self.terms, width), self.offset, np.uint8)
        padded[:terms, :d] = (quantised.astype(np.int16) + self.offset).astype(np.uint8)
        groups = padded.reshape(blocks, self.terms, width // self.group, self.group)
        return aligned(groups.transpose(0, 2, 1, 3))
