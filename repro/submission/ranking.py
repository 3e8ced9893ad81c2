"""A topic's documents by rank, and what may be wrong between two: listed twice, out of order."""

import struct
from bisect import bisect_left
from dataclasses import dataclass, field

from repro.submission.columns import shown

NEAR = 1e-6
"""Scores that differ by a smaller share may be the same 32-bit float (24 bits of precision)."""


@dataclass
class Ranking:
    """Ranks in order, and the score of each; None where there is none, or none that can be read.

    ``ties`` are the documents with the score of the one before.
    """

    ranks: list[int] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    ties: int = 0

    def __contains__(self, rank: int) -> bool:
        at = bisect_left(self.ranks, rank)
        return at < len(self.ranks) and self.ranks[at] == rank

    def add(self, rank: int, score: float | None) -> list[int]:
        """Take a document whose rank is new; return the ranks next to it that its score contradicts.

        Any two documents out of order leave two neighbours out of order, so comparing neighbours finds a run
        that has some.
        """
        ranks, scores = self.ranks, self.scores
        at = bisect_left(ranks, rank)
        better = scores[at - 1] if at else None
        worse = scores[at] if at < len(ranks) else None
        contradicted, tied = [], False
        if score is not None and better is not None:
            if score > better:
                contradicted.append(ranks[at - 1])
            else:
                tied = _tied(score, better)
        if score is not None and worse is not None:
            if score < worse:
                contradicted.append(ranks[at])
            else:
                tied = tied or _tied(score, worse)
        ranks.insert(at, rank)
        scores.insert(at, score)
        self.ties += tied
        return contradicted

    def extend(self, ranks: list[int], scores: list[float | None]) -> None:
        """Take documents that come after all others, and whose scores strictly decrease from theirs on."""
        self.ranks += ranks
        self.scores += scores

    def score(self, rank: int) -> float | None:
        """Return the score of a rank that is there."""
        return self.scores[bisect_left(self.ranks, rank)]

    def forget(self) -> None:
        """Drop the documents, and keep the number of ties."""
        self.ranks, self.scores = [], []


def _tied(score: float, other: float) -> bool:
    """Tell whether two scores are the same as 32-bit floats."""
    return abs(score - other) <= NEAR * abs(score) and struct.pack("f", score) == struct.pack("f", other)


Fault = tuple[str, int, str]
"""Its kind, the number of its line, a sentence."""


def duplicate(number: int, query: bytes, docid: bytes) -> Fault:
    """Return the fault of a document that its topic has listed before."""
    return "duplicate", number, f"topic {shown(query)} lists document {shown(docid)} a second time"


def second_rank(number: int, query: bytes, rank: int) -> Fault:
    """Return the fault of a rank that its topic has had before."""
    return "rank", number, f"topic {shown(query)} has rank {rank} a second time"


def disorder(number: int, ranking: Ranking, rank: int, other: int) -> Fault:
    """Return the fault of a rank whose score contradicts that of another rank before it in the file."""
    scores = f"rank {rank} has score {ranking.score(rank):g}, rank {other} before it {ranking.score(other):g}"
    return "order", number, f"{scores}; evaluators go by score"
