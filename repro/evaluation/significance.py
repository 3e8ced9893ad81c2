"""How sure a mean is, and whether two runs differ by more than the draw of their queries."""

from dataclasses import dataclass

import numpy as np

from repro.evaluation.measures import Figures

RESAMPLED = 10_000_000
"""Values that the bootstrap holds at a time."""


@dataclass(frozen=True)
class Difference:
    """A run's mean difference from a baseline's, its two-sided p-value, and the queries that are better,
    worse, in all.
    """

    mean: float
    p: float
    better: int
    worse: int
    queries: int


def compare(figures: Figures, baseline: Figures, measure: str, draws: int = 10_000) -> Difference:
    """Test the mean difference of two runs over the same queries: Fisher's randomisation test, paired and
    two-sided.

    Each draw exchanges the two systems' values of some queries at random (Smucker et al. 2007,
    doi:10.1145/1321440.1321528).
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


def intervals(figures: Figures, level: float = 0.95, draws: int = 2_000) -> dict[str, tuple[float, float]]:
    """Return each measure's confidence interval of the mean over queries: the percentile bootstrap.

    The queries are drawn anew, with replacement, ``draws`` times (Efron and Tibshirani 1993, chapter 13). The
    generator's seed is fixed: equal values have equal intervals. Of a single query it is the value itself.
    """
    from scipy.stats import bootstrap

    found = {}
    for measure, mean in figures.mean.items():
        values = np.array([of_query[measure] for of_query in figures.per_query.values()])
        if np.ptp(values) == 0:  # nothing to draw from, and SciPy refuses a single query
            found[measure] = (mean, mean)
            continue
        drawn = bootstrap(
            (values,),
            np.mean,
            confidence_level=level,
            n_resamples=draws,
            batch=max(1, RESAMPLED // len(values)),
            method="percentile",
            rng=np.random.default_rng(42),
        )
        low, high = drawn.confidence_interval
        found[measure] = (float(low), float(high))
    return found
