"""The optional compiled kernels of ``native/head.c``: found, loaded with ctypes, called on NumPy arrays.

They are built when the package is installed where there is a C compiler; everything works without them, slower.
"""

import ctypes
import importlib.util
import os
from functools import cache

import numpy as np

MODULE = "repro_native"
COLUMNS = 48
"""Terms in a block of packed weights, as in head.c."""


@cache
def kernels() -> ctypes.CDLL | None:
    """Return the library; None if it was not built, this processor lacks AVX-512 VNNI, or REPRO_NATIVE=0 says so."""
    if os.environ.get("REPRO_NATIVE") == "0":
        return None
    spec = importlib.util.find_spec(MODULE)
    if spec is None or not spec.origin:
        return None
    library = ctypes.CDLL(spec.origin)
    return library if library.head_supported() else None


def pack_terms(quantised: np.ndarray) -> np.ndarray:
    """Lay int8 weights, terms x d, out as head_screen reads them: blocks of 48 terms, 4 dimensions together, plus 128.

    The result is aligned to 64 bytes; terms beyond the last are zeros.
    """
    terms, d = quantised.shape
    blocks = -(-terms // COLUMNS)
    padded = np.full((blocks * COLUMNS, d), 128, np.uint8)
    padded[:terms] = (quantised.astype(np.int16) + 128).astype(np.uint8)
    laid_out = padded.reshape(blocks, COLUMNS, d // 4, 4).transpose(0, 2, 1, 3)
    buffer = np.empty(laid_out.size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    packed = buffer[start : start + laid_out.size].reshape(laid_out.shape)
    packed[...] = laid_out
    return packed


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
    float32, one for each text. See ``head.c`` for the bound.
    """
    texts, d, room = len(lengths), hidden.shape[1], packed.shape[0] * COLUMNS
    start = -128 * hidden.sum(axis=1, dtype=np.int32)
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    found = np.empty((texts, room), np.int32)
    count = np.empty(texts, np.int64)
    sizes = ctypes.c_int64(texts), ctypes.c_int64(d), ctypes.c_int64(packed.shape[0]), ctypes.c_int64(room)
    kernels().head_screen(
        *(_pointer(a) for a in (hidden, start, bounds)),
        *(sizes[0], sizes[1], _pointer(packed), sizes[2]),
        *(_pointer(a) for a in (*term_bounds, *text_bounds)),
        *(_pointer(found), sizes[3], _pointer(count)),
    )
    return [found[i, : count[i]] for i in range(texts)]


def exact(hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return the float32 max-pooled logits of ``terms`` in one text: hidden tokens x d, weight vocabulary x d."""
    logits = np.empty(len(terms), np.float32)
    kernels().head_exact(
        *(_pointer(hidden), ctypes.c_int64(hidden.shape[0]), ctypes.c_int64(hidden.shape[1])),
        *(_pointer(weight), _pointer(bias), _pointer(terms), ctypes.c_int64(len(terms)), _pointer(logits)),
    )
    return logits


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    if not array.flags.c_contiguous:
        raise ValueError("the kernels read contiguous arrays only")
    return ctypes.c_void_p(array.ctypes.data)
