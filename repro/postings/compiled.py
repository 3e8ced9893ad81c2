"""The compiled search of native/search.c: whether it is there, and its functions."""

import ctypes
import os
import sys
from functools import cache
from typing import Self

import numpy as np

from repro.base.errors import InputError
from repro.compiled.native import CURE, UnusableLibraryError, libraries, load
from repro.postings.layout import WINDOW, Postings

ABI = 1
NONE = 0
"""What the library must answer to ``search_abi`` (native/search.c); one without a search answers NONE."""


class Index(ctypes.Structure):
    """``Index`` of native/search.c."""

    _fields_ = [
        ("windows", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("count", ctypes.c_void_p),
        ("largest", ctypes.c_void_p),
        ("kind", ctypes.c_void_p),
        ("rank", ctypes.c_void_p),
        ("docid", ctypes.c_void_p),
        ("docids", ctypes.c_void_p),
        ("descending", ctypes.c_int64),
    ]

    @classmethod
    def of(cls, postings: Postings, descending: bool) -> Self:
        """Return pointers to what ``postings`` holds, which has to outlive them."""
        arrays = {**postings.arrays, "data": postings.lists, "docids": postings.docids}
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        return cls(windows=postings.windows, descending=descending, **pointers)


def unavailable() -> str | None:
    """Return why the compiled search cannot be used here, as part of a sentence; None if it can."""
    return _library()[1]


def search(index: Index, lists: np.ndarray, weights: np.ndarray, k: int) -> tuple[bytes, np.ndarray]:
    """Return the best ``k`` documents' ids, a newline after each, and their scores (float32), best first.

    ``lists`` (int32) are numbers of lists, ``weights`` (uint32, below 2^31) what their impacts are multiplied
    by. Python's lock is not held meanwhile. InputError if memory does not suffice.
    """
    library, reason = _library()
    assert library is not None, reason
    ranks, scores = np.empty(k, np.uint32), np.empty(k, np.float32)
    arrays = (_pointer(lists), _pointer(weights))
    pointer = ctypes.byref(index)
    found = library.search_impacts(pointer, len(lists), *arrays, k, _pointer(ranks), _pointer(scores))
    if found < 0:
        raise InputError("memory does not suffice to search; ask for fewer --hits, or with fewer --threads")
    text = np.empty(library.search_docids(pointer, found, _pointer(ranks), None), np.uint8)
    library.search_docids(pointer, found, _pointer(ranks), _pointer(text))
    return text.tobytes(), scores[:found]


@cache
def _library() -> tuple[ctypes.CDLL | None, str | None]:
    """Return the library, or why there is none that can be used."""
    if os.environ.get("REPRO_NATIVE") == "0":
        return None, "compiled code is switched off by REPRO_NATIVE=0"
    if sys.byteorder != "little":
        return None, "this processor's numbers are big-endian"
    reason = "none was built (no C compiler at installation?)"
    for path in libraries():
        try:
            library = load(path)
            if (abi := library.search_abi(), library.search_window()) == (ABI, WINDOW):
                return _typed(library), None
            if abi == NONE:
                return None, "the C compiler at installation builds none (GCC or Clang does)"
            reason = f"{path} is of another build (ABI {abi}, expected {ABI}); {CURE}"
        except AttributeError:
            reason = f"{path} is of another build (it lacks a function); {CURE}"
        except UnusableLibraryError as error:
            reason = f"{error}; {CURE}"
    return None, reason


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    library.search_impacts.restype = library.search_docids.restype = size
    library.search_impacts.argtypes = [pointer, size, pointer, pointer, size, pointer, pointer]
    library.search_docids.argtypes = [pointer, size, pointer, pointer]
    return library


def _pointer(array: np.ndarray) -> int:
    return array.ctypes.data
