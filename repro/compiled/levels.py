"""Which compiled kernels there are, by the instructions that they take, and how each lays weights out."""

import math
from typing import NamedTuple


class Shape(NamedTuple):
    """How a level lays its weights out.

    ``terms`` go into a block of packed int8 weights, ``group`` numbers of each lying together; magnitudes are
    at most ``largest``, and an offset makes them positive unless they are ``signed`` (head.h). ``columns`` go
    into a panel of packed float32 weights (tile.h). ``machines``: whose level it is, as
    ``platform.machine`` names processors, in lower case.

    If ``chunk`` is not 0, products of so many dimensions are summed in two lanes of 16 bits, in one those of
    the first two of every four dimensions, in the other the last two: ``text_norm`` and ``term_norm`` are the
    largest norms of what takes part in a sum.
    """

    terms: int
    largest: int
    columns: int
    group: int = 4
    signed: bool = False
    machines: tuple[str, ...] = ("x86_64", "amd64")
    chunk: int = 0
    text_norm: float = math.inf
    term_norm: float = math.inf


TERM_LARGEST, TEXT_NORM, TERM_NORM = 63, 210.0, 156.0
"""AVX2's limits, below which sums of 16 bits are right (``splade/screening.py``)."""
ARM = ("aarch64", "arm64")
SHAPES = {
    "avx512": Shape(48, 127, 64),
    "avxvnni": Shape(16, 127, 16),
    "avx2": Shape(16, TERM_LARGEST, 16, chunk=128, text_norm=TEXT_NORM, term_norm=TERM_NORM),
    "i8mm": Shape(16, 127, 16, group=8, signed=True, machines=ARM),
    "dotprod": Shape(16, 127, 16, signed=True, machines=ARM),
    "neon": Shape(4, 127, 16, group=16, signed=True, machines=ARM),
}
"""By level, of each processor best first."""
