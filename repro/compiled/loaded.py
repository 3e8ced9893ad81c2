"""The kernels of a library, bound to their arguments, and memory for their own use.

A kernel reads and writes memory as it is told. So each method of what stands on this (``byte_kernels``,
``head_kernels``, ``layer_kernels``) checks first that its arrays are contiguous, of the number format and the
shapes that it states (ValueError), and that ids lie within what they number (IndexError).
"""

import ctypes
import threading
from collections.abc import Callable

import numpy as np

from repro.compiled.levels import SHAPES

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


class Loaded:
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
