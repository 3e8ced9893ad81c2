"""Each query's figures, packed for the page, and the queries in which systems differ most."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, zip_longest
from typing import Any

import numpy as np

from repro.collections.model import Qrels
from repro.evaluation.measures import Measure

DECIMALS = 9
"""Values that agree to so many are equal: what another order of summing changes is far below."""


@dataclass(frozen=True)
class Scores:
    """Figures of systems by query; ``values`` is a float64 array, systems x measures x queries."""

    systems: list[str]
    measures: list[str]
    queries: list[str]
    values: np.ndarray

    def of(self, places: Sequence[int]) -> "Scores":
        """Return the figures of the queries at these places."""
        kept = [self.queries[place] for place in places]
        return Scores(self.systems, self.measures, kept, self.values[:, :, list(places)])


def scores_of(values: Mapping[str, np.ndarray], qrels: Qrels, measures: Sequence[Measure]) -> Scores:
    """Return the figures that a table was made from: of each system an array, queries x measures."""
    names = [str(measure) for measure in measures]
    array = np.zeros((len(values), len(names), len(qrels)))
    for place, of_system in enumerate(values.values()):
        array[place] = of_system.T
    return Scores([*values], names, [*qrels], array.round(DECIMALS))


def packed(scores: Scores) -> dict[str, Any]:
    """Return the figures as JSON that a page unpacks: per measure its distinct values, in order, and per
    system the place of each query's value among them (base64 of little-endian integers of ``bytes`` each).

    Most measures have few distinct values: a byte a query, and comparing places compares values.
    """
    return {name: _packed(scores.values[:, at]) for at, name in enumerate(scores.measures)}


def _packed(values: np.ndarray) -> dict[str, Any]:
    distinct, places = np.unique(values, return_inverse=True)
    kind = next(t for t in ("<u1", "<u2", "<u4") if len(distinct) <= np.iinfo(t).max + 1)
    rows = places.reshape(values.shape).astype(kind)
    encoded = [base64.b64encode(row.tobytes()).decode() for row in rows]
    return {"distinct": distinct.tolist(), "bytes": np.dtype(kind).itemsize, "places": encoded}


def differing(scores: Scores, limit: int) -> list[int]:
    """Return the places of ``limit`` queries in which systems differ most, in the order of the queries.

    By the first measure, the others deciding between equal differences. The pairs of systems take turns, in
    both directions, so that each system's greatest wins and losses against each other are among them; what is
    left goes to the queries with the greatest ranges over all systems.
    """
    values, count = scores.values, len(scores.queries)
    wins = [
        order[gain[0, order] > 0]
        for one, other in permutations(range(len(scores.systems)), 2)
        for gain in [values[one] - values[other]]
        for order in [_descending(gain)]
    ]
    ranges = np.ptp(values, axis=0) if len(values) else np.zeros((1, count))
    turns = (place for turn in zip_longest(*wins) for place in turn if place is not None)
    chosen: dict[int, None] = {}
    for place in (*turns, *_descending(ranges)):
        if len(chosen) == limit:
            break
        chosen[int(place)] = None
    return sorted(chosen)


def _descending(differences: np.ndarray) -> np.ndarray:
    """Return the order of queries, greatest first: measures x queries, the first measure decides first."""
    return np.lexsort(-differences[::-1])
