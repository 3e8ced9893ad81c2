"""Reciprocal rank fusion: the runs of several systems, one by the ranks of their documents."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np

from repro.cli.options import SearchOptions, SystemOptions
from repro.engines.protocol import Combining, CombiningRequest
from repro.formats.runs import docids_descend, lowered

RANK_CONSTANT = 60
"""Of Cormack et al., and Pyserini's default: the greater it is, the less the first ranks outweigh others."""


class FusionEngine:
    """Runs whose documents are ranked by the sum of their reciprocal ranks."""

    kind = "fusion"
    encodes: Literal[False] = False
    combines: Literal[True] = True
    options: tuple[type, ...] = (SearchOptions,)

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return the method and its constant."""
        return {"method": "reciprocal rank fusion", "rank_constant": RANK_CONSTANT}

    def combine(self, request: CombiningRequest, stack: ExitStack) -> Combining:
        """Fuse the parts' rankings, query by query."""
        search = request.options.search
        return Combining(
            (query.id, fuse([run.get(query.id, []) for run in request.runs], search.hits, search.ties))
            for query in request.queries
        )


def fuse(rankings: Sequence[Sequence[str]], depth: int, ties: str) -> dict[str, float]:
    """Return the ``depth`` best documents of several rankings of one query with their scores, best first.

    A document's score is the sum of 1 / (60 + rank) over the rankings that have it (Cormack, Clarke and
    Büttcher 2009, doi:10.1145/1571941.1572114). Documents are ordered by the sum in 64 bits, equal ones by
    docid (``ties``), as ``pyserini.fusion`` orders them; the scores are the 32-bit floats of a run file that
    keep this order.
    """
    sums: dict[str, tuple[float, float]] = {}
    for ranking in rankings:
        for rank, docid in enumerate(ranking, 1):
            sums[docid] = _added(sums.get(docid, (0.0, 0.0)), 1 / (RANK_CONSTANT + rank))
    by_docid = sorted(sums, reverse=docids_descend(ties))
    best = sorted(by_docid, key=lambda docid: -sums[docid][0])[:depth]  # a stable sort
    values = np.array([sums[docid][0] for docid in best], dtype=np.float32)
    return dict(zip(best, lowered(values).tolist()))


def _added(total: tuple[float, float], term: float) -> tuple[float, float]:
    """Return a sum and its compensation with one more term in it (Kahan 1965), as pandas sums for Pyserini.

    Of three runs on, the last bit of a plain sum would be another, and with it the order of near-ties.
    """
    value, compensation = total
    corrected = term - compensation
    after = value + corrected
    return after, after - value - corrected
