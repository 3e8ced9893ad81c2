"""The compiled kernels of ``native/`` as functions of NumPy arrays.

A kernel reads and writes memory as it is told. So each method checks first that its arrays are contiguous, of
the number format and the shapes that it states (ValueError), and that ids lie within what they number
(IndexError).
"""

import ctypes
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from repro.compiled.arguments import (
    DOUBLE,
    FLOAT,
    INT8,
    INT32,
    INT64,
    UINT8,
    address,
    address_of_ids,
    address_of_output,
    aligned,
    describe,
    multiple,
    round_up,
)
from repro.compiled.levels import SHAPES, TERM_LARGEST, TERM_NORM, TEXT_NORM

ROWS = 6
"""Rows of a tile of a float32 product, as in tile.h."""
HEADS = (32, 64)
"""Dimensions that an attention head may have, as in body.h."""
BLOCK_TOKENS, PANEL_DEPTH = 192, 384
"""What body_linear copies at a time at most, tokens and their numbers, as in body.h."""
MOST_TOKENS = 8
"""Tokens of a tile of a product of int8, at most, as in simd_avx512.h."""
MOST_DIMENSIONS = 2**17
"""Up to which sums of products of bytes stay below 2^31."""
PART = 128
"""Numbers of a row that have a scale together, as in bytes.h."""
LARGEST = 127
"""What the largest number of a text becomes, at most, when it is rounded to int8."""

POINTER, COUNT, REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
SIGNATURES = {
    "body_embed": (POINTER, COUNT, COUNT, COUNT, POINTER, POINTER, POINTER),
    "body_linear": (POINTER, COUNT, COUNT, POINTER, POINTER, COUNT, COUNT, POINTER, POINTER),
    "body_linear_int8": (POINTER, *(COUNT,) * 2, *(POINTER,) * 3, COUNT, COUNT, POINTER, POINTER, REAL),
    "body_attention": (POINTER, *(COUNT,) * 5, POINTER, POINTER),
    "body_add_normalise": (POINTER, POINTER, COUNT, COUNT, POINTER, POINTER, REAL),
    "head_round": (POINTER, *(COUNT,) * 4, *(POINTER,) * 4, REAL),
    "head_screen": (POINTER, *(COUNT,) * 3, POINTER, COUNT, *(POINTER,) * 9),
    "head_exact": (POINTER, COUNT, COUNT, POINTER, POINTER, POINTER, COUNT, POINTER, POINTER),
}
"""The arguments of each kernel, as in body.h, body_int8.h and head.h; all return nothing."""


class Bytes(NamedTuple):
    """Groups of vectors, each times its ``scale`` and then rounded.

    values: int8, groups x length x d, d rounded up to a multiple of 16; scale, norm (largest of the group's
    rounded vectors) and error (largest distance of a scaled vector from its rounded one): groups, float64.
    """

    values: np.ndarray
    scale: np.ndarray
    norm: np.ndarray
    error: np.ndarray


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


class Kernels:
    """The kernels of a loaded ``library`` for one ``level``. AttributeError if it lacks one."""

    def __init__(self, library: ctypes.CDLL, level: str) -> None:
        self.level = level
        self.shape = shape = SHAPES[level]
        self.terms, self.largest, self.columns, self.group = shape[:4]
        self.offset = 0 if shape.signed else self.largest + 1
        self._kernels: dict[str, Callable[..., None]] = {}
        self._local = threading.local()
        for name, arguments in SIGNATURES.items():
            kernel = getattr(library, f"{name}_{level}")
            kernel.argtypes, kernel.restype = arguments, None
            self._kernels[name] = kernel

    def _workspace(self, floats: int) -> int:
        """Return where this thread has so many floats for a kernel's own use, kept for its next call."""
        if getattr(self._local, "floats", 0) < floats:
            self._local.workspace = np.empty(floats, np.float32)
            self._local.floats = floats
            self._local.address = self._local.workspace.ctypes.data
        return self._local.address

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

    def pack_columns(self, weight: np.ndarray) -> np.ndarray:
        """Lay a float32 matrix, outputs x inputs, out as body_linear reads it: panels x inputs x columns."""
        if weight.dtype != FLOAT or weight.ndim != 2 or len(weight) % self.columns:
            raise ValueError(f"weight: expected float32, n x {self.columns} rows, got {describe(weight)}")
        outputs, inputs = weight.shape
        return aligned(weight.reshape(outputs // self.columns, self.columns, inputs).transpose(0, 2, 1))

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

    def embed(self, ids: np.ndarray, words: np.ndarray, positions: np.ndarray, x: np.ndarray) -> None:
        """Write words[id] + positions[place] to ``x``, tokens x d.

        ids: int64, texts x length; words and positions: float32, rows of d.
        """
        texts, length = ids.shape
        d = multiple("d", words.shape[1], 16)
        if length > len(positions):
            raise IndexError(f"{length} tokens: the model has {len(positions)} positions")
        self._kernels["body_embed"](
            address_of_ids("tokens", ids, INT64, (texts, length), len(words)),
            texts,
            length,
            d,
            address("words", words, FLOAT, (len(words), d)),
            address("positions", positions, FLOAT, (len(positions), d)),
            address_of_output("x", x, (texts * length, d)),
        )

    def linear(self, x: np.ndarray, packed: np.ndarray, bias: np.ndarray, gelu: bool, y: np.ndarray) -> None:
        """Write x W^T + bias to ``y``, through GELU if asked for; W by ``pack_columns``.

        x: tokens x inputs; y: tokens x outputs; all float32.
        """
        tokens, inputs = x.shape
        outputs = len(packed) * self.columns
        self._kernels["body_linear"](
            address("x", x, FLOAT, (tokens, inputs)),
            tokens,
            inputs,
            address("packed", packed, FLOAT, (len(packed), inputs, self.columns)),
            address("bias", bias, FLOAT, (outputs,)),
            outputs,
            gelu,
            self._workspace(min(tokens, BLOCK_TOKENS) * min(inputs, PANEL_DEPTH)),
            address_of_output("y", y, (tokens, outputs)),
        )

    def linear_int8(
        self,
        x: np.ndarray,
        packed: np.ndarray,
        factor: np.ndarray,
        bias: np.ndarray,
        gelu: bool,
        y: np.ndarray,
    ) -> None:
        """Write x W^T + bias to ``y``, through GELU if asked for, as products of int8.

        x: tokens x inputs; y: tokens x outputs, nan for a token whose numbers are not finite; packed: W's
        rows by ``round_rows`` and ``pack_terms``; factor, parts x packed rows: by what sums are multiplied;
        bias, packed rows. All but packed are float32; inputs and outputs are multiples of 16.
        """
        (tokens, inputs), outputs = x.shape, y.shape[1]
        blocks = -(-outputs // self.terms)
        rows, parts = min(tokens, BLOCK_TOKENS) + MOST_TOKENS, -(-inputs // PART)
        self._kernels["body_linear_int8"](
            address("x", x, FLOAT, (tokens, multiple("inputs", inputs, 16))),
            tokens,
            inputs,
            address("packed", packed, UINT8, (blocks, inputs // self.group, self.terms, self.group)),
            address("factor", factor, FLOAT, (parts, blocks * self.terms)),
            address("bias", bias, FLOAT, (blocks * self.terms,)),
            multiple("outputs", outputs, 16),
            gelu,
            self._workspace(rows * (inputs // 4 + 2 * parts)),
            address_of_output("y", y, (tokens, outputs)),
            TEXT_NORM,
        )

    def attention(self, qkv: np.ndarray, texts: int, head: int, context: np.ndarray) -> None:
        """Write self-attention with heads of 32 or 64 dimensions to ``context``, queries x d.

        qkv: tokens x 3 d, of each token its query, key and value; the ``texts`` are of equal length. Of each
        text, its first queries / texts tokens ask.
        """
        tokens, (queries, d) = len(qkv), context.shape
        if head not in HEADS:
            raise ValueError(f"head: expected one of {HEADS}, got {head}")
        if queries > tokens:
            raise ValueError(f"context: expected at most {tokens} queries, got {queries}")
        length = multiple("tokens", tokens, texts) // texts
        self._kernels["body_attention"](
            address("qkv", qkv, FLOAT, (tokens, 3 * multiple("d", d, head))),
            texts,
            length,
            multiple("queries", queries, texts) // texts,
            d,
            head,
            self._workspace((2 * head + ROWS) * round_up(length)),
            address_of_output("context", context, (queries, d)),
        )

    def add_normalise(
        self, x: np.ndarray, added: np.ndarray | None, gain: np.ndarray, bias: np.ndarray, epsilon: float
    ) -> None:
        """Replace ``x``, tokens x d, by the layer normalisation of x + added (of x alone if that is None)."""
        tokens, d = x.shape
        self._kernels["body_add_normalise"](
            address_of_output("x", x, (tokens, multiple("d", d, 16))),
            None if added is None else address("added", added, FLOAT, (tokens, d)),
            tokens,
            d,
            address("gain", gain, FLOAT, (d,)),
            address("bias", bias, FLOAT, (d,)),
            epsilon,
        )
