"""How sure a mean is, and whether two runs differ by more than the draw of their queries."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from repro.evaluation.measures import Figures

RESAMPLED = 10_000_000
"""Values that are resampled at a time: what is held in memory of them."""
ROUNDING = 1e-12
"""What of a value may be rounding: as doubles, 1/2 - 1/6 and 1/3 - 0 are two numbers."""


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
    """Test the mean difference of two runs over the same queries by a randomisation test."""
    pairs = [(values[measure], baseline.per_query[q][measure]) for q, values in figures.per_query.items()]
    differences = np.array([ours - theirs for ours, theirs in pairs])
    (p,) = randomisation_test(differences[None], draws).tolist()
    return difference(differences, p)


def difference(differences: np.ndarray, p: float) -> Difference:
    """Return the mean of differences, one a query, with its p-value and the queries counted."""
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return Difference(float(differences.mean()), p, better, worse, len(differences))


def randomisation_test(differences: np.ndarray, draws: int = 10_000) -> np.ndarray:
    """Return the p-value of each mean difference (a row of comparisons x queries): Fisher's test, paired and
    two-sided.

    Each draw exchanges the two systems' values of some queries at random (Smucker et al. 2007,
    doi:10.1145/1321440.1321528); of few queries, each way to exchange them is taken once, as in SciPy. All
    comparisons have the same draws: SciPy's permutation_test takes eleven times as long for 32 of them.
    """
    queries, units = differences.shape[1], on_grid(differences)
    all_taken = queries * math.log(2) <= math.log(draws)
    batches = _all_signs(queries) if all_taken else _signs(queries, draws)
    drawn = np.concatenate([abs(signs @ units.T) for signs in batches])
    return share_reached(drawn, abs(units.sum(axis=1)), queries, all_taken)


def _all_signs(queries: int) -> Iterator[np.ndarray]:
    yield np.array(list(itertools.product((-1.0, 1.0), repeat=queries)))


def _signs(queries: int, draws: int) -> Iterator[np.ndarray]:
    """Yield -1 and 1 at random, draws x queries, some draws at a time."""
    rng, batch = np.random.default_rng(42), max(1, min(500, RESAMPLED // queries))
    for start in range(0, draws, batch):
        yield rng.choice([-1.0, 1.0], (min(batch, draws - start), queries))


def on_grid(values: np.ndarray) -> np.ndarray:
    """Return values (their last axis queries) in units so small that sums over queries are still exact.

    Then no order of summing, and so no machine, decides which of two sums is greater.
    """
    greatest = abs(values).max(initial=0) * values.shape[-1]
    return np.rint(values * 2.0 ** (51 - np.ceil(np.log2(greatest)))) if greatest else values


def share_reached(drawn: np.ndarray, found: np.ndarray, queries: int, all_taken: bool) -> np.ndarray:
    """Return p-values: the share of draws (the first axis of ``drawn``) that are as great as what was found.

    Both are differences of sums over ``queries`` values ``on_grid``. Unless all that can be drawn was taken,
    what was found counts as one draw more (Davison and Hinkley 1997, section 4.2).
    """
    equal = 2 * queries  # at most half a unit a value off, of which a difference of two such has four
    reached = (drawn >= found - equal).sum(axis=0)
    return reached / len(drawn) if all_taken else (reached + 1) / (len(drawn) + 1)


def t_test(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Return the two-sided p-value of the paired t-test of two systems' values, one a query.

    1 if the systems are equal; None if it is not defined, as all differences are equal, or there is only one.
    """
    from scipy.stats import ttest_rel

    only = _only_difference(ours, theirs)
    if only is not None:
        return None if only else 1.0
    return float(ttest_rel(ours, theirs).pvalue)


def effect_size(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Return Cohen's d of paired values: the mean difference over the standard deviation of the differences.

    That is d_z of Lakens (2013, doi:10.3389/fpsyg.2013.00863), which Sakai (2014,
    doi:10.1145/2641383.2641385) asks for beside a paired t-test. 0 if there is no difference; None if it is
    not defined, as all differences are equal, or there is only one.
    """
    only = _only_difference(ours, theirs)
    if only is not None:
        return None if only else 0.0
    differences = ours - theirs
    return float(differences.mean() / differences.std(ddof=1))


def _only_difference(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Return the difference of two systems' values if, but for rounding, it is the same on all queries."""
    differences = ours - theirs
    rounding = ROUNDING * max(abs(ours).max(), abs(theirs).max())
    if np.ptp(differences) > rounding:
        return None
    return float(differences[0]) if abs(differences[0]) > rounding else 0.0


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
    reached = np.ones(len(candidates))
    for signs in _signs(count, draws):
        greatest = t_of(signs @ differences.T / count).max(axis=1)
        reached += (greatest[:, None] >= observed - ROUNDING).sum(axis=0)
    return (reached / (draws + 1)).tolist()


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    corrected, greatest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = greatest
    return corrected


def intervals(figures: Figures) -> dict[str, tuple[float, float]]:
    """Return each measure's 95 % confidence interval of the mean over queries."""
    return {name: interval(values) for name, values in zip(figures.mean, figures.values().T)}


def interval(values: np.ndarray, level: float = 0.95, draws: int = 2_000) -> tuple[float, float]:
    """Return the confidence interval of the mean of values, one a query: the percentile bootstrap.

    The queries are drawn anew, with replacement, ``draws`` times (Efron and Tibshirani 1993, chapter 13). The
    generator's seed is fixed: equal values have equal intervals. Of a single query it is the value itself.
    """
    from scipy.stats import bootstrap

    if np.ptp(values) == 0:  # nothing to draw from, and SciPy refuses a single query
        return float(values[0]), float(values[0])
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
    return float(low), float(high)
