"""How sure a mean is, and whether two runs differ by more than the draw of their queries."""

from collections.abc import Sequence
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


def better_than_baseline(
    candidates: Sequence[Figures], baseline: Figures, measure: str, draws: int = 10_000
) -> list[float]:
    """Return, for each of several runs, the p-value that it is no better than the baseline, corrected for
    the choice among them: one-sided, by the greatest t of all runs under random signs of the queries'
    differences.

    The correction is that of Westfall and Young (1993, step-down left out): runs that are alike, as averages
    of the same two models, are not punished as unrelated ones would be.
    """
    differences = np.array(
        [
            [values[measure] - baseline.per_query[query][measure] for query, values in run.per_query.items()]
            for run in candidates
        ]
    )
    count = differences.shape[1]
    squares = (differences**2).sum(axis=1)

    def t_of(means: np.ndarray) -> np.ndarray:  # signs leave the sum of squares as it is
        variances = np.maximum(squares / count - means**2, 1e-30)
        return np.where(squares > 0, means / np.sqrt(variances / count), 0.0)

    observed = t_of(differences.mean(axis=1))
    rng, reached = np.random.default_rng(42), np.ones(len(candidates))
    for start in range(0, draws, 500):
        signs = rng.choice([-1.0, 1.0], (min(500, draws - start), count))
        greatest = t_of(signs @ differences.T / count).max(axis=1)
        reached += (greatest[:, None] >= observed - 1e-12).sum(axis=0)
    return (reached / (draws + 1)).tolist()


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    corrected, greatest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = greatest
    return corrected


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
