"""Hard negatives from run files: what a retriever ranks high and nobody judged relevant."""

import random
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from repro.cli.training_options import DistillationOptions

NEGATIVES = DistillationOptions.negatives
"""Negatives of a row, as in the published distillation data."""
SAME = 0.9
"""Two passages whose words overlap by this much or more (Jaccard) are near-duplicates."""


@dataclass(frozen=True)
class Mined:
    """A query with one positive and its negatives, by document id."""

    query: str
    positive: str
    negatives: tuple[str, ...]


def candidates(
    runs: Iterable[Mapping[str, list[str]]], query: str, judged: Mapping[str, int], depth: int
) -> list[str]:
    """Return the ``depth`` documents that the runs rank best for a query: one of each run in turn.

    Those judged relevant (grade > 0) are left out.
    """
    ranked = [run.get(query, [])[: depth + len(judged)] for run in runs]
    found: dict[str, None] = {}
    for rank in range(max(map(len, ranked), default=0)):
        for docids in ranked:
            if rank < len(docids) and judged.get(docids[rank], 0) <= 0:
                found[docids[rank]] = None
    return list(found)[:depth]


def mine(
    query: str,
    judged: Mapping[str, int],
    found: list[str],
    texts: Mapping[str, str],
    rng: random.Random,
    others: list[str],
    positives: int,
    negatives: int = NEGATIVES,
    excluded: Set[str] = frozenset(),
) -> list[Mined]:
    """Return a row for each of up to ``positives`` relevant documents, none of them ``excluded``.

    Its ``negatives`` are drawn from ``found``, which has the best first, and keep that order. Near-duplicates
    of any relevant document are dropped, among ``others``, too. Where too few are found, ``others`` (random
    documents) fill up.
    """
    relevant = [docid for docid, grade in judged.items() if grade > 0 and docid in texts]
    words = [_words(texts[docid]) for docid in relevant]

    def usable(docid: str) -> bool:
        return docid in texts and not any(_same(_words(texts[docid]), own) for own in words)

    kept = [docid for docid in found if usable(docid)]
    allowed = [docid for docid in relevant if docid not in excluded]
    rows = []
    for positive in rng.sample(allowed, min(positives, len(allowed))):
        drawn = set(rng.sample(kept, min(negatives, len(kept))))
        chosen = [d for d in kept if d in drawn]
        fill = (d for d in others if judged.get(d, 0) <= 0 and d not in drawn and usable(d))
        while len(chosen) < negatives and (more := next(fill, None)) is not None:
            chosen.append(more)
        if len(chosen) == negatives:
            rows.append(Mined(query, positive, tuple(chosen)))
    return rows


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SAME * len(one | other)
