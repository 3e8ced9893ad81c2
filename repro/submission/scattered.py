"""Topics whose lines do not stand together: those that stand apart are compared in a second pass."""

from collections.abc import Hashable, Iterable
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Any

from repro.submission.columns import Block
from repro.submission.faults import Faults
from repro.submission.ranking import Ranking, disorder, duplicate, second_rank


def compare_parts(
    found: Iterable[Block], scattered: AbstractSet[bytes], faults: Faults
) -> dict[bytes, Ranking]:
    """Add the faults between lines of a topic that stand apart; return the ranking of each such topic.

    Those between lines that stand together are known from the first pass, and not added again.
    """
    rankings = {query: Ranking() for query in scattered}
    docids: dict[bytes, dict[bytes, int]] = {query: {} for query in scattered}
    ranks: dict[bytes, dict[int, int]] = {query: {} for query in scattered}
    part, before = 0, None
    for block in found:
        if block.query != before:
            part, before = part + 1, block.query
        if block.query not in scattered:
            continue
        query, ranking, parts = block.query, rankings[block.query], ranks[block.query]
        for number, docid, rank, score in zip(count(block.number), block.docids, block.ranks, block.scores):
            if _was_elsewhere(docids[query], docid, part):
                faults.add(*duplicate(number, query, docid))
            if rank is None:
                continue
            if _was_elsewhere(parts, rank, part):
                faults.add(*second_rank(number, query, rank))
            elif rank not in ranking:
                contradicted = [other for other in ranking.add(rank, score) if parts[other] != part]
                if contradicted:
                    faults.add(*disorder(number, ranking, rank, contradicted[0]))
    return rankings


def _was_elsewhere(parts: dict[Any, int], key: Hashable, part: int) -> bool:
    """Tell whether the last part of a topic that had ``key`` is another; note that this one has it."""
    last = parts.get(key, part)
    parts[key] = part
    return last != part
