"""Impacts as numbers of fewer bits, and what that costs."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Impacts:
    """How often each impact stands in an index of ``lists`` terms."""

    counts: dict[int, int] = field(default_factory=dict)
    lists: int = 0

    def add(self, impacts: np.ndarray) -> None:
        """Count more impacts."""
        values, times = np.unique(impacts, return_counts=True)
        for value, count in zip(values.tolist(), times.tolist()):
            self.counts[value] = self.counts.get(value, 0) + count

    @property
    def greatest(self) -> int:
        """The largest impact, 0 if there is none."""
        return max(self.counts, default=0)

    @property
    def values(self) -> np.ndarray:
        """The impacts that occur, int64."""
        return np.fromiter(self.counts.keys(), np.int64, len(self.counts))

    @property
    def times(self) -> np.ndarray:
        """How often each of ``values`` occurs, int64."""
        return np.fromiter(self.counts.values(), np.int64, len(self.counts))

    def total(self, values: np.ndarray) -> int:
        """Return the sum over all postings, each with the one of ``values`` that its impact becomes."""
        return int((values * self.times).sum())


@dataclass(frozen=True)
class Narrowing:
    """Impacts as numbers up to ``limit``: cut off there (``clamp``), or scaled, so that ``greatest`` becomes
    it.

    A scaled impact is at least 1, so that no posting is lost. Where all fit, they stay.
    """

    greatest: int
    limit: int
    clamp: bool = True

    @property
    def scale(self) -> float:
        """What impacts are multiplied by."""
        return 1.0 if self.clamp or self.greatest <= self.limit else self.limit / self.greatest

    def __call__(self, impacts: np.ndarray) -> np.ndarray:
        """Return what impacts become, in an array of the same type."""
        if self.greatest <= self.limit:
            return impacts
        if self.clamp:
            return np.minimum(impacts, self.limit).astype(impacts.dtype)
        return np.maximum(np.rint(impacts * self.scale), 1).astype(impacts.dtype)

    def cost(self, impacts: Impacts) -> dict[str, float]:
        """Return the greatest impact, how many impacts are not exact, the sum of their errors in shares of
        the sum of all impacts, and the largest error.

        A scaled impact is taken back to the scale of the original: a common factor changes no ranking.
        """
        values, times = impacts.values, impacts.times
        errors = np.abs(self(values) / self.scale - values)
        return {
            "greatest": self.greatest,
            "inexact": int(times[errors > 0].sum()),
            "errors": float((errors * times).sum() / max(1, impacts.total(values))),
            "largest_error": float(errors.max(initial=0)),
        }

    def sentence(self, cost: dict[str, float]) -> str:
        """Return the cost in words."""
        if self.greatest <= self.limit:
            return f"nothing is lost, the greatest impact is {self.greatest:,}"
        way = f"cut off at {self.limit:,}" if self.clamp else f"times {self.limit:,}/{self.greatest:,}"
        lost = f"{cost['inexact']:,.0f} are not exact; errors add up to {cost['errors']:.2%} of all impacts"
        largest = f"the largest is {cost['largest_error']:,.1f}"
        return f"impacts {way} (the greatest was {self.greatest:,}): {lost}, and {largest}"
