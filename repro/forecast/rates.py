"""What a calibration has measured, in the units in which the work grows."""

from dataclasses import dataclass
from typing import Self

MEASURED, SHAPE, EARLIER, COUNTED = "m", "s", "e", "c"
"""Where a figure comes from: measured here by a calibration; scaled by the model's shape from what others
took; measured here by an earlier command, as its manifest says; counted.
"""


class Unclear(Exception):
    """Two sizes took the same, as far as can be told; the message says of what."""


@dataclass(frozen=True)
class Line:
    """A quantity that grows linearly, ``fixed`` + ``slope`` x units, neither below 0."""

    fixed: float
    slope: float

    @classmethod
    def through(cls, units: tuple[float, float], values: tuple[float, float], noise: float = 0.0) -> Self:
        """Return the line through two points; through 0, if it would begin below.

        Unclear if it does not rise by more than ``noise``, which would be taken for growth; where there are
        no more units at the second point, nothing grows.
        """
        (near, far), (low, high) = units, values
        if far <= near:
            return cls(max(low, high), 0.0)
        if high - low <= noise:
            raise Unclear(f"{low:.2g} and {high:.2g} differ by no more than noise")
        slope = (high - low) / (far - near)
        fixed = low - slope * near
        return cls(fixed, slope) if fixed >= 0 else cls(0.0, high / far)

    def at(self, units: float) -> float:
        """Return the quantity for so many units."""
        return self.fixed + self.slope * units


@dataclass(frozen=True)
class TextRate:
    """Encoding texts of one kind, measured on so many ``texts``: seconds, and bytes on the disk, a text.

    ``terms`` are a text's postings, or a dense vector's dimensions.
    """

    texts: int
    seconds: float
    bytes: float
    terms: float


@dataclass(frozen=True)
class ModelRate:
    """A model that encodes: seconds until it is loaded (``start``), and its peak memory, in bytes.

    ``overlap`` is the mean number of terms that a query and a passage share, which is what postings a search
    visits of a passage; None of dense vectors.
    """

    start: float
    memory: int
    documents: TextRate
    queries: TextRate
    overlap: float | None = None


@dataclass(frozen=True)
class IndexRate:
    """Building an index: seconds and bytes by ``units``, measured up to ``measured`` units.

    Units are postings of impacts, texts of BM25, numbers of vectors. ``scratch`` are bytes that lie on the
    disk meanwhile, beside the index. ``memory`` is the process's peak, ``most`` what it is bounded by.
    """

    start: float
    seconds: Line
    bytes: Line
    scratch: Line
    memory: int
    most: int
    measured: float


@dataclass(frozen=True)
class SearchRate:
    """Searching with one query: seconds by ``units``, the postings of impacts that are visited, texts of
    BM25, numbers of vectors; ``unclear`` says why they cannot be told beyond what was ``measured``.

    ``memory`` is the process's peak, in bytes. ``dimensions``: of the vectors that were searched.
    """

    start: float
    seconds: Line
    memory: int
    unclear: str = ""
    measured: float = 0.0
    dimensions: int = 0


@dataclass(frozen=True)
class RunRate:
    """Runs: seconds to write a line, to evaluate, or to fuse it, bytes of one, and the evaluating process's
    peak.

    ``reading`` are the seconds that a pass over the corpus takes for a document.
    """

    start: float
    writing: float
    evaluating: float
    fusing: float
    bytes: float
    memory: int
    reading: float
