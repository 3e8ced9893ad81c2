"""What is wrong with a run: the first faults by line, and how many of each kind."""

import math
from bisect import insort
from collections import Counter
from dataclasses import dataclass, field

SHOWN = 20
"""Faults that are shown; all are counted."""
END = math.inf
"""The line of a fault of the whole run."""


@dataclass
class Faults:
    """Faults, found in any order; only ``SHOWN`` of them, the first by line, are kept in words."""

    counts: Counter[str] = field(default_factory=Counter)
    first: list[tuple[float, int, str]] = field(default_factory=list)
    """Line, number in the order of finding, sentence."""

    def add(self, kind: str, line: float, sentence: str) -> None:
        """Count a fault of a kind (a word or two) in a line, or at the ``END``."""
        self.counts[kind] += 1
        if len(self.first) < SHOWN or line < self.first[-1][0]:
            insort(self.first, (line, self.total, sentence))
            del self.first[SHOWN:]

    @property
    def total(self) -> int:
        """The number of faults."""
        return self.counts.total()

    def sentences(self, where: str) -> list[str]:
        """Return the first faults, each with where it is, and how many more there are."""
        shown = [
            f"{where}: {sentence}" if line == END else f"{where}, line {line}: {sentence}"
            for line, _, sentence in self.first
        ]
        more = self.total - len(shown)
        return [*shown, f"... and {more:,} more"] if more else shown

    def summary(self) -> str:
        """Return the counts, of all and of each kind."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.counts.most_common())
        return f"{self.total:,} fault{'s' if self.total > 1 else ''} ({kinds})"
