"""BERT's layers, in float32 (``native/body.h``) and with products of bytes (``native/body_int8.h``)."""

import numpy as np

from repro.compiled.arguments import (
    FLOAT,
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
from repro.compiled.byte_kernels import PART, ByteKernels
from repro.compiled.levels import TEXT_NORM

ROWS = 6
"""Rows of a tile of a float32 product, as in tile.h."""
HEADS = (32, 64)
"""Dimensions that an attention head may have, as in body.h."""
BLOCK_TOKENS, PANEL_DEPTH = 192, 384
"""What body_linear copies at a time at most, tokens and their numbers, as in body.h."""
MOST_TOKENS = 8
"""Tokens of a tile of a product of int8, at most, as in simd_avx512.h."""


class LayerKernels(ByteKernels):
    """Computes embeddings, linear layers, attention and normalisation of tokens."""

    def pack_columns(self, weight: np.ndarray) -> np.ndarray:
        """Lay a float32 matrix, outputs x inputs, out as body_linear reads it: panels x inputs x columns."""
        if weight.dtype != FLOAT or weight.ndim != 2 or len(weight) % self.columns:
            raise ValueError(f"weight: expected float32, n x {self.columns} rows, got {describe(weight)}")
        outputs, inputs = weight.shape
        return aligned(weight.reshape(outputs // self.columns, self.columns, inputs).transpose(0, 2, 1))

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
