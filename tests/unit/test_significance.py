"""Tests of significance: of several runs against a baseline, by brute force and beside SciPy's; Holm's
correction.
"""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from repro.evaluation.measures import Figures
from repro.evaluation.significance import better_than_baseline, compare, holm

MEASURE = "nDCG@10"
DRAWS = 10_000
MONTE_CARLO = 5 * 0.5 / DRAWS**0.5
"""Five standard errors of a share of DRAWS, at most."""


def figures(values) -> Figures:
    per_query = {f"q{i}": {MEASURE: float(value)} for i, value in enumerate(values)}
    return Figures({MEASURE: float(np.mean(values))}, per_query, len(values), 0)


def baseline(size):
    return figures([0.0] * size)


@pytest.mark.parametrize("seed", range(4))
def test_of_one_run_p_is_that_of_all_signs(seed):
    """Twelve queries: the mean under each of 4,096 signs, and how often it is as great as what was found."""
    differences = np.random.default_rng(seed).normal(0.15, 0.4, 12)
    (p,) = better_than_baseline([figures(differences)], baseline(12), MEASURE, DRAWS)
    means = np.array(list(itertools.product([-1, 1], repeat=12))) @ differences / 12
    assert p == pytest.approx((means >= differences.mean() - 1e-12).mean(), abs=MONTE_CARLO)


@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.03])
def test_of_one_run_p_is_scipys_one_sided(shift):
    differences = np.random.default_rng(1).normal(shift, 0.2, 150)
    differences[::3] = 0  # queries of equal figures, as most have
    (p,) = better_than_baseline([figures(differences)], baseline(150), MEASURE, DRAWS)
    theirs = permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=DRAWS,
        rng=np.random.default_rng(2),
    )
    assert p == pytest.approx(theirs.pvalue, abs=2 * MONTE_CARLO)


def test_the_test_is_one_sided():
    differences = np.random.default_rng(3).normal(0.05, 0.2, 200)
    (better,) = better_than_baseline([figures(differences)], baseline(200), MEASURE)
    (worse,) = better_than_baseline([figures(-differences)], baseline(200), MEASURE)
    two_sided = compare(figures(differences), baseline(200), MEASURE).p
    assert better < 0.01 and worse > 0.99
    assert better == pytest.approx(two_sided / 2, abs=MONTE_CARLO)


def test_only_differences_count_whatever_the_baseline_and_the_order_of_queries():
    rng = np.random.default_rng(4)
    differences, own = rng.normal(0.03, 0.2, 60), rng.random(60)
    expected = better_than_baseline([figures(differences)], baseline(60), MEASURE)
    run, other = figures(own + differences), figures(own)
    turned = Figures(other.mean, dict(reversed(other.per_query.items())), 60, 0)
    assert better_than_baseline([run], turned, MEASURE) == pytest.approx(expected, abs=1e-3)


def test_copies_of_a_run_are_not_punished_and_unrelated_runs_are():
    rng = np.random.default_rng(5)
    differences = rng.normal(0, 0.2, 150)
    differences += 0.033 - differences.mean()  # two standard errors
    (alone,) = better_than_baseline([figures(differences)], baseline(150), MEASURE)
    assert 0.01 < alone < 0.1
    copies = better_than_baseline([figures(differences)] * 4, baseline(150), MEASURE)
    assert copies == [alone] * 4
    halved = better_than_baseline([figures(differences), figures(differences / 2)], baseline(150), MEASURE)
    assert halved == pytest.approx([alone] * 2, abs=1e-3)  # of t, not of the mean
    unrelated = [figures(rng.normal(0, 0.2, 150)) for _ in range(3)]
    first, *_ = better_than_baseline([figures(differences), *unrelated], baseline(150), MEASURE)
    assert 2 * alone < first < 4.5 * alone  # Bonferroni would have four times


def test_under_the_null_hypothesis_one_of_several_is_better_as_often_as_p_says():
    rng = np.random.default_rng(6)
    least = [
        min(
            better_than_baseline(
                [figures(rng.normal(0, 0.2, 40)) for _ in range(3)], baseline(40), MEASURE, draws=200
            )
        )
        for _ in range(400)
    ]
    share = np.mean(np.array(least) < 0.05)
    assert share == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 400) ** 0.5)


def test_a_run_that_equals_the_baseline_is_not_better_and_takes_nothing_from_others():
    differences = np.random.default_rng(7).normal(0.06, 0.2, 100)
    alone, same, both = (
        better_than_baseline(runs, baseline(100), MEASURE)
        for runs in (
            [figures(differences)],
            [baseline(100)],
            [baseline(100), figures(differences)],
        )
    )
    assert same == [1.0] and both == [1.0, alone[0]]


def test_one_query_is_no_evidence():
    (p,) = better_than_baseline([figures([0.9])], baseline(1), MEASURE)
    assert p == pytest.approx(0.5, abs=MONTE_CARLO)


def test_p_is_never_zero():
    (p,) = better_than_baseline([figures([0.5] * 300)], baseline(300), MEASURE, draws=99)
    assert p == 0.01


def test_holms_correction_by_hand():
    """Sorted .01, .02, .03, .04: times 4, 3, 2, 1 is .04, .06, .06, .04, and none is less than one before."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.005, 0.02]) == pytest.approx([0.01, 0.02])
    assert holm([0.5, 0.6, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
