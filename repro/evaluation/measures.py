"""Effectiveness figures by ir_measures, with trec_eval's order of ties and its treatment of missing queries
(-c).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures.measures import Measure

from repro.base.errors import InputError
from repro.collections.model import Qrels
from repro.formats.runs import ranked

__all__ = ["Figures", "Measure", "evaluate", "parse_measures"]

HITS = 200_000
"""Hits that are evaluated at a time: what is held in memory of a run."""


@dataclass(frozen=True)
class Figures:
    """A run's figures: the mean over all judged queries, and each query's own. Keys are the measures'
    names.
    """

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]]
    answered: int
    """Judged queries that the run answers; the others count as 0."""
    unjudged: int
    """Queries of the run without a judgment, which count nowhere."""

    def values(self) -> np.ndarray:
        """Return each query's figures, queries x measures, in the judgments' order and that of ``mean``."""
        return np.array([[of_query[name] for name in self.mean] for of_query in self.per_query.values()])


def parse_measures(names: Sequence[str]) -> list[Measure]:
    """Parse ir_measures' names; InputError for one that it does not know."""
    measures = []
    for name in names:
        try:
            measures.append(ir_measures.parse_measure(name))
        except (NameError, ValueError, SyntaxError, AssertionError, KeyError):
            raise InputError(
                f"unknown measure {name!r}; name one as ir_measures does, e.g. RR@10, nDCG@10, AP(rel=2)"
            ) from None
    return measures


def evaluate(
    qrels: Qrels, results: Iterable[tuple[str, Mapping[str, float]]], measures: Sequence[Measure]
) -> Figures:
    """Evaluate a run, given as (query id, {docid: score}) a query at a time, over all queries of ``qrels``.

    The results are read once and not kept. Documents of equal score, as a 32-bit float, go by docid
    descending, which is trec_eval's order whatever the file's. InputError for a measure that ir_measures
    cannot compute here.
    """
    names = {str(measure): 0.0 for measure in measures}
    per_query = {query: dict(names) for query in qrels}
    answered = unjudged = 0
    for batch, others in _batches(results, qrels):
        answered, unjudged = answered + len(batch), unjudged + others
        if not batch:
            continue
        judgments = {query: qrels[query] for query in batch}
        try:
            for metric in ir_measures.iter_calc(measures, judgments, batch):
                per_query[metric.query_id][str(metric.measure)] = metric.value
        except ValueError as error:  # no provider has the measure
            raise InputError(f"{', '.join(names)}: {error}") from error
    mean = {name: sum(values[name] for values in per_query.values()) / len(per_query) for name in names}
    return Figures(mean, per_query, answered, unjudged)


def _batches(
    results: Iterable[tuple[str, Mapping[str, float]]], qrels: Qrels
) -> Iterator[tuple[dict[str, dict[str, float]], int]]:
    """Yield the judged queries of some HITS hits, with minus the rank for scores, and the number of unjudged
    ones.

    No evaluation tool that gets ranks ever sees a tie, so none breaks it in its own way.
    """
    batch: dict[str, dict[str, float]] = {}
    hits = unjudged = 0
    for query, scores in results:
        if query not in qrels:
            unjudged += 1
            continue
        batch[query] = {docid: -float(rank) for rank, docid in enumerate(_order(scores))}
        hits += len(scores)
        if hits >= HITS:
            yield batch, unjudged
            batch, hits, unjudged = {}, 0, 0
    yield batch, unjudged


def _order(scores: Mapping[str, float]) -> Iterable[str]:
    """Return the docids in trec_eval's order."""
    values = np.fromiter(scores.values(), np.float32, len(scores))
    if (values[1:] < values[:-1]).all():  # as every run that is written here
        return scores
    return (docid for docid, _ in ranked(scores, "trec_eval"))
