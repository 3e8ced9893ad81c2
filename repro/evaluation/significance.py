"""Whether two runs differ by more than the draw of their queries."""

from dataclasses import dataclass

import numpy as np

from repro.evaluation.measures import Figures


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
