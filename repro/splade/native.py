"""The optional compiled kernels of ``native/``: found, loaded with ctypes, called on NumPy arrays.

They are built when the package is installed where there is a C compiler; everything works without them, slower.
"""

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import cache

import numpy as np

from repro.base.errors import InputError

MODULE = "repro_native"
ROWS = 6
"""Rows of a tile of a float32 product, as in tile.h."""
HEAD = 64
"""Dimensions of an attention head, as in body.h."""


@dataclass(frozen=True)
class Kernels:
    """The kernels for one set of instructions.

    ``level`` ends their names; ``terms`` go into a block of packed int8 weights, whose magnitude is at most ``largest``
    (head.h); ``columns`` into a panel of packed float32 weights (tile.h).
    """

    library: ctypes.CDLL
    level: str
    terms: int
    largest: int
    columns: int

    def call(self, kernel: str, *arguments: np.ndarray | float | None) -> None:
        """Call a kernel: arrays go as pointers, int as int64_t, float as float, None as a null pointer."""
        getattr(self.library, f"{kernel}_{self.level}")(*map(_argument, arguments))


LEVELS = {
    "avx512": {"terms": 48, "largest": 127, "columns": 64},
    "avx2": {"terms": 16, "largest": 63, "columns": 16},
}
"""Sets of instructions, best first: AVX-512 with VNNI, AVX2 with FMA."""


@cache
def kernels() -> Kernels | None:
    """Return the best kernels for this processor; None if there are none, or they were not built.

    The environment's REPRO_NATIVE names one of LEVELS to use that one, or is 0 to use none.
    """
    wanted = os.environ.get("REPRO_NATIVE")
    if wanted not in (None, "0", *LEVELS):
        raise InputError(f"REPRO_NATIVE={wanted}: expected 0, {' or '.join(LEVELS)}")
    levels = [] if wanted == "0" else [wanted] if wanted else LEVELS
    return next(filter(None, map(open_kernels, levels)), None)


def open_kernels(level: str) -> Kernels | None:
    """Return the kernels of ``level``; None if they were not built, or this processor lacks the instructions."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or not spec.origin:
        return None
    library = ctypes.CDLL(spec.origin)
    return Kernels(library, level, **LEVELS[level]) if getattr(library, f"supported_{level}")() else None


def pack_terms(quantised: np.ndarray) -> np.ndarray:
    """Lay int8 weights, terms x d, out as head_screen reads them: blocks of terms, 4 dimensions together, made positive.

    Terms beyond the last are zeros.
    """
    terms, d = quantised.shape
    size, offset = kernels().terms, kernels().largest + 1
    blocks = -(-terms // size)
    padded = np.full((blocks * size, d), offset, np.uint8)
    padded[:terms] = (quantised.astype(np.int16) + offset).astype(np.uint8)
    laid_out = padded.reshape(blocks, size, d // 4, 4).transpose(0, 2, 1, 3)
    return _aligned(laid_out)


def pack_columns(weight: np.ndarray) -> np.ndarray:
    """Lay a float32 matrix, outputs x inputs, out as body_linear reads it: panels of outputs, input by input."""
    outputs, inputs = weight.shape
    columns = kernels().columns
    return _aligned(weight.reshape(outputs // columns, columns, inputs).transpose(0, 2, 1))


def screen(
    hidden: np.ndarray,
    lengths: np.ndarray,
    packed: np.ndarray,
    term_bounds: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    text_bounds: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> list[np.ndarray]:
    """Return, for each text, the ids (int32, ascending) of the terms whose upper bound is positive.

    hidden: int8, tokens x d, the texts one after the other; lengths: tokens of each text; packed: by ``pack_terms``;
    term_bounds: scale, bias, norm and error, float32, one for each packed term; text_bounds: scale, error and norm,
    float32, one for each text. See ``head.h`` for the bound.
    """
    texts, room = len(lengths), packed.shape[0] * packed.shape[2]
    start = -(kernels().largest + 1) * hidden.sum(axis=1, dtype=np.int32)
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    found = np.empty((texts, room), np.int32)
    count = np.empty(texts, np.int64)
    all_texts, all_terms = (
        (hidden, start, bounds, texts, hidden.shape[1]),
        (packed, len(packed), *term_bounds),
    )
    kernels().call("head_screen", *all_texts, *all_terms, *text_bounds, found, room, count)
    return [found[i, : count[i]] for i in range(texts)]


def exact(hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return the float32 max-pooled logits of ``terms`` in one text: hidden tokens x d, weight vocabulary x d."""
    logits = np.empty(len(terms), np.float32)
    tokens, d = hidden.shape
    room = np.empty(d * _round_up(tokens), np.float32)
    kernels().call("head_exact", hidden, tokens, d, weight, bias, terms, len(terms), room, logits)
    return logits


def embed(ids: np.ndarray, words: np.ndarray, positions: np.ndarray, x: np.ndarray) -> None:
    """Write words[id] + positions[place] to ``x``: ids int64, texts x tokens; the embeddings float32, rows of d."""
    kernels().call("body_embed", ids, *ids.shape, words.shape[1], words, positions, x)


def linear(
    x: np.ndarray, tokens: int, packed: np.ndarray, bias: np.ndarray, gelu: bool, y: np.ndarray
) -> None:
    """Write x W^T + bias to ``y``, through GELU if asked for: x tokens x inputs, y tokens x outputs, W by ``pack_columns``."""
    kernels().call("body_linear", x, tokens, packed.shape[1], packed, bias, len(bias), int(gelu), y)


def attention(qkv: np.ndarray, texts: int, length: int, d: int, context: np.ndarray) -> None:
    """Write self-attention with heads of 64 to ``context``, tokens x d; qkv: tokens x 3 d, texts of equal length."""
    room = np.empty((HEAD + ROWS) * _round_up(length), np.float32)
    kernels().call("body_attention", qkv, texts, length, d, room, context)


def add_normalise(
    x: np.ndarray, added: np.ndarray | None, tokens: int, gain: np.ndarray, bias: np.ndarray, epsilon: float
) -> None:
    """Replace ``x``, tokens x d, by the layer normalisation of x + added (of x alone without ``added``)."""
    kernels().call("body_add_normalise", x, added, tokens, len(gain), gain, bias, epsilon)


def _round_up(tokens: int) -> int:
    return -(-tokens // 16) * 16


def _aligned(values: np.ndarray) -> np.ndarray:
    """Copy ``values`` to memory aligned to 64 bytes."""
    buffer = np.empty(values.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def _argument(value: np.ndarray | float | None) -> object:
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("the kernels read contiguous arrays only")
        return ctypes.c_void_p(value.ctypes.data)
    if value is None:
        return None
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)
