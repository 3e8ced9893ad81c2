"""What a calibration has measured, in the units in which the work grows."""

from dataclasses import dataclass
from typing import Self

MEASURED, SHAPE, EARLIER, COUNTED = "m", "s", "e", "c"
"""Where a figure comes from: measured here by a calibration; so measured, with random weights in the
model's shape; measured here by an earlier command, as its manifest says; counted.
"""


@dataclass(frozen=True)
class Line:
    """A quantity that grows linearly, ``fixed`` + ``slope`` x units, neither below 0."""

    fixed: float
    slope: float

    @classmethod
    def through(cls, units: tuple[float, float], values: tuple[float, float]) -> Self:
        """Return the line through two points; if noise would have it fall, or begin below 0, the line from 0
        through the further point.
        """
        (near, far), (low, high) = units, values
        slope = (high - low) / (far - near)
        fixed = low - slope * near
        return cls(fixed, slope) if slope > 0 and fixed >= 0 else cls(0.0, high / far)

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
    """A model that encodes: seconds until it is loaded (``start``), and its process's peak memory, in bytes.

    ``overlap`` is the mean number of terms that a query and a passage share, which is what postings a search
    visits of a passage; None of dense vectors and of random weights.
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
    """Searching with one query: seconds by ``units``, the postings of impacts that are visited, or documents.

    ``memory`` is the process's peak, in bytes.
    """

    start: float
    seconds: Line
    memory: int


@dataclass(frozen=True)
class RunRate:
    """Runs: seconds to evaluate a line, or to fuse it, bytes of one, and the evaluating process's peak.

    ``reading`` are the seconds that a pass over the corpus takes for a document.
    """

    start: float
    evaluating: float
    fusing: float
    bytes: float
    memory: int
    reading: float
