"""Effectiveness figures by ir_measures, with trec_eval's order of ties and its treatment of missing queries (-c)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures

from repro.base.errors import InputError
from repro.collections.model import Qrels
from repro.formats.runs import ranked

MEASURES = ["RR@10", "R@10", "R@1000", "nDCG@10"]


@dataclass(frozen=True)
class Figures:
    """A run's figures: the mean over all judged queries, and each query's own. Keys are the measures' names."""

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]]


def parse_measures(names: Sequence[str]) -> list:
    """Parse ir_measures' names; InputError for one that it does not know."""
    measures = []
    for name in names:
        try:
            measures.append(ir_measures.parse_measure(name))
        except (NameError, ValueError, SyntaxError, AssertionError, KeyError):
            raise InputError(
                f"unknown measure {name!r}; name one as ir_measures does, e.g. {', '.join(MEASURES)}, AP, P@5"
            ) from None
    return measures


def evaluate(
    qrels: Qrels, run: Mapping[str, Mapping[str, float]], measures: Sequence | None = None
) -> Figures:
    """Evaluate ``run`` (query id -> docid -> score) over all queries of ``qrels``."""
    measures = measures or parse_measures(MEASURES)
    # Scores become minus the rank, so that no provider ever sees a tie.
    ordered = {
        query: {docid: -float(rank) for rank, (docid, _) in enumerate(ranked(scores, "trec_eval"))}
        for query, scores in run.items()
        if query in qrels
    }
    per_query = {query: {str(measure): 0.0 for measure in measures} for query in qrels}
    for metric in ir_measures.iter_calc(measures, qrels, ordered):
        per_query[metric.query_id][str(metric.measure)] = metric.value
    mean = {str(m): sum(values[str(m)] for values in per_query.values()) / len(per_query) for m in measures}
    return Figures(mean, per_query)
