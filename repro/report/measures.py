"""Effectiveness figures by ir_measures, with trec_eval's order of ties and its treatment of missing queries (-c)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures
import numpy as np

from repro.data.collection import Qrels
from repro.data.runs import ranked
from repro.errors import InputError

MEASURES = ["RR@10", "R@10", "R@1000", "nDCG@10"]


@dataclass(frozen=True)
class Figures:
    """A run's figures: the mean over all judged queries, and each query's own. Keys are the measures' names."""

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Difference:
    """A run's mean difference from a baseline's, its two-sided p-value, and the queries that are better, worse, in all."""

    mean: float
    p: float
    better: int
    worse: int
    queries: int


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
        query: {docid: -float(rank) for rank, (docid, _) in enumerate(ranked(scores))}
        for query, scores in run.items()
        if query in qrels
    }
    per_query = {query: {str(measure): 0.0 for measure in measures} for query in qrels}
    for metric in ir_measures.iter_calc(measures, qrels, ordered):
        per_query[metric.query_id][str(metric.measure)] = metric.value
    mean = {str(m): sum(values[str(m)] for values in per_query.values()) / len(per_query) for m in measures}
    return Figures(mean, per_query)


def compare(figures: Figures, baseline: Figures, measure: str, draws: int = 10_000) -> Difference:
    """Test the mean difference of two runs over the same queries: Fisher's randomisation test, paired and two-sided.

    Each draw exchanges the two systems' values of some queries at random (Smucker et al. 2007, doi:10.1145/1321440.1321528).
    """
    from scipy.stats import permutation_test

    pairs = [(values[measure], baseline.per_query[q][measure]) for q, values in figures.per_query.items()]
    differences = np.array([ours - theirs for ours, theirs in pairs])
    test = permutation_test(
        (differences,),
        lambda values, axis: abs(values.mean(axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=draws,
        batch=500,
        rng=np.random.default_rng(42),
    )
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return Difference(float(differences.mean()), float(test.pvalue), better, worse, len(differences))


def read_trec_qrels(path: Path) -> Qrels:
    """Read judgments in TREC's form: query id, iteration, document id, grade."""
    qrels: Qrels = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: there is no such qrels file") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query, _, document, grade = line.split()
            qrels.setdefault(query, {})[document] = int(grade)
        except ValueError:
            raise InputError(
                f"{path}, line {number}: expected 4 columns (query id, iteration, document id, integer grade)"
            ) from None
    if not qrels:
        raise InputError(f"{path}: no judgment in it")
    return qrels
