"""Systems compared: every figure beside SciPy's or statsmodels' on the same values, or by brute force."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.libqsturng import psturng
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from repro.evaluation import tukey
from repro.evaluation.comparison import compare_systems
from repro.evaluation.significance import effect_size, holm, on_grid, randomisation_test, t_test
from repro.evaluation.tukey import hsd_test, randomised_hsd_test

MEASURES = ["RR@10", "nDCG@10"]
DRAWS = 10_000
MONTE_CARLO = 5 * 0.5 / DRAWS**0.5
"""Five standard errors of a share of DRAWS, at most."""


def reciprocal_ranks(rng, queries, better=0.0):
    """Return values as RR@10 has them: few different ones, many ties and zeros."""
    ranks = rng.integers(1, 12, queries) - rng.binomial(4, better, queries)
    return np.where(ranks > 10, 0.0, 1 / np.maximum(ranks, 1))


def systems(queries=60, names=("bm25", "tiny", "dense", "alike")):
    """Return some systems' values by both measures, queries x measures, each system better than the last."""
    rng = np.random.default_rng(1)
    return {
        name: np.column_stack([reciprocal_ranks(rng, queries, i / 5), rng.beta(2 + i, 2, queries)])
        for i, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def values():
    return systems()


@pytest.fixture(scope="module")
def compared(values):
    return compare_systems(values, MEASURES, "bm25")


def test_each_system_is_compared_with_the_baseline_by_each_measure(values, compared):
    assert [(of.system, of.other, of.measure) for of in compared] == [
        (system, "bm25", measure) for system in ("tiny", "dense", "alike") for measure in MEASURES
    ]
    for of in compared:
        place = MEASURES.index(of.measure)
        differences = values[of.system][:, place] - values["bm25"][:, place]
        assert of.mean == pytest.approx(differences.mean()) and of.low < of.mean < of.high
        assert (of.better, of.worse) == ((differences > 0).sum(), (differences < 0).sum())
        assert of.equal == (differences == 0).sum() and of.queries == 60


def test_the_t_test_is_scipys_and_statsmodels(values, compared):
    for of in compared:
        place = MEASURES.index(of.measure)
        ours, theirs = values[of.system][:, place], values["bm25"][:, place]
        assert of.t_test == pytest.approx(scipy.stats.ttest_rel(ours, theirs).pvalue, rel=1e-12)
        assert of.t_test == pytest.approx(DescrStatsW(ours - theirs).ttest_mean(0)[1], rel=1e-9)


def test_the_randomisation_test_is_scipys(values, compared):
    for of in compared:
        place = MEASURES.index(of.measure)
        theirs = scipys_randomisation(values[of.system][:, place], values["bm25"][:, place])
        assert of.p == pytest.approx(theirs, abs=2 * MONTE_CARLO)


@pytest.mark.parametrize("seed", range(5))
def test_of_few_queries_the_randomisation_test_is_exact(seed):
    """Ten queries: each of the 1,024 ways to exchange the values, in SciPy and in fractions."""
    rng = np.random.default_rng(seed)
    ranks = rng.integers(1, 11, (2, 10))
    differences = [Fraction(1, int(a)) - Fraction(1, int(b)) for a, b in ranks.T]
    found = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(s, differences))) for s in itertools.product([1, -1], repeat=10)]
    (p,) = randomisation_test(np.array([differences], dtype=float))
    assert p == sum(of >= found for of in sums) / 1024
    assert p == pytest.approx(scipys_randomisation(*1 / ranks), abs=1e-12)


def scipys_randomisation(ours, theirs):
    return scipy.stats.permutation_test(
        (ours, theirs),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        permutation_type="samples",
        n_resamples=DRAWS,
        rng=np.random.default_rng(2),
    ).pvalue


def test_holms_correction_is_statsmodels(compared):
    """Of both tests, the family being the systems with one measure."""
    for measure in MEASURES:
        family = [of for of in compared if of.measure == measure]
        _, corrected, *_ = multipletests([of.p for of in family], method="holm")
        assert [of.p_corrected for of in family] == pytest.approx(corrected, rel=1e-12)
        _, corrected, *_ = multipletests([of.t_test for of in family], method="holm")
        assert [of.t_test_corrected for of in family] == pytest.approx(corrected, rel=1e-12)
    assert {of.significant for of in compared} == {True, False}
    assert all(of.significant == (of.p_corrected < 0.05) for of in compared)


def test_the_interval_is_scipys_bootstrap(values, compared):
    of = compared[0]
    theirs = scipy.stats.bootstrap(
        (values["tiny"][:, 0] - values["bm25"][:, 0],),
        np.mean,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert (of.low, of.high) == pytest.approx(tuple(theirs), abs=0.1 * (of.high - of.low))


def test_cohens_d_by_hand():
    """Differences 1, 2, 3: their mean is 2, and their standard deviation 1."""
    assert effect_size(np.array([1.0, 3.0, 3.0]), np.array([0.0, 1.0, 0.0])) == pytest.approx(2.0)
    halves = np.array([0.0, 0.5, 0.5, 0.0])
    assert effect_size(np.zeros(4), halves) == pytest.approx(-0.25 / np.sqrt(1 / 12))


def test_what_is_not_defined_is_none_and_equal_systems_do_not_differ():
    base = np.column_stack([np.linspace(0.1, 0.8, 5)] * 2)
    same, above = compare_systems({"a": base, "same": base, "above": base + 0.125}, ["RR@10", "AP"], "a")[::2]
    assert (same.t_test, same.p, same.effect, same.p_corrected) == (1.0, 1.0, 0.0, 1.0)
    assert (above.t_test, above.t_test_corrected, above.effect) == (None, None, None)
    assert above.p == 2 / 2**5 and (above.low, above.high) == pytest.approx((0.125, 0.125))
    assert t_test(np.array([0.5]), np.array([0.25])) is None
    assert randomisation_test(np.array([[0.25]])).tolist() == [1.0]
    for correction in ("holm", "tukey"):
        assert not compare_systems({"a": base}, ["RR@10", "AP"], "a", correction)


def test_differences_that_are_equal_but_for_rounding_are_equal():
    """Reciprocal ranks that are a third better on each query, and what only rounding tells apart."""
    ours, theirs = np.array([1 / 2, 1 / 3, 1]), np.array([1 / 6, 0, 2 / 3])
    assert np.ptp(ours - theirs) > 0
    assert t_test(ours, theirs) is None and effect_size(ours, theirs) is None
    assert hsd_test(np.array([ours, theirs])) is None
    assert hsd_test(1e12 * np.array([ours, theirs])) is None
    nearly = ours + np.array([0, 1e-16, 0])
    assert (nearly != ours).any() and (t_test(nearly, ours), effect_size(nearly, ours)) == (1.0, 0.0)


def test_holms_family_is_all_systems_also_those_without_a_t_test(values):
    """One of three differs by the same on each query: the others' p-values are still corrected for three."""
    three = {name: values[name] for name in ("bm25", "tiny", "dense")}
    found = compare_systems(three | {"above": values["bm25"] + 0.125}, MEASURES, "bm25")
    for measure in MEASURES:
        tiny, dense, above = [of for of in found if of.measure == measure]
        assert above.t_test is None and above.t_test_corrected is None
        expected = holm([tiny.t_test, dense.t_test, 1.0])[:2]
        assert [tiny.t_test_corrected, dense.t_test_corrected] == expected
        assert min(expected) == 3 * min(tiny.t_test, dense.t_test)


def test_each_measure_has_a_column(values):
    with pytest.raises(ValueError, match="zip"):
        compare_systems(values, MEASURES[:1], "bm25")


def test_sums_on_the_grid_are_exact_and_hardly_changed():
    values = np.random.default_rng(3).normal(0, 0.3, 5000)
    units = on_grid(values)
    assert units.sum() == sum(map(int, units)) == units[::-1].cumsum()[-1]
    assert units.sum() / units[0] * values[0] == pytest.approx(values.sum(), rel=1e-9)
    assert not on_grid(np.zeros(3)).any()


def test_tukeys_hsd_stands_on_the_two_way_analysis_of_variance(values):
    """The error's variance is that of statsmodels' linear model, the studentised range's tail SciPy's, and
    statsmodels' approximation.
    """
    of_measure = np.array([of_system[:, 1] for of_system in values.values()])
    count, queries = of_measure.shape
    effects = [np.eye(count)[i] for i in range(count) for _ in range(queries)]
    blocks = [np.eye(queries)[q, 1:] for _ in range(count) for q in range(queries)]
    model = sm.OLS(of_measure.ravel(), np.hstack([effects, blocks])).fit()
    assert model.df_resid == (count - 1) * (queries - 1)
    p_values = hsd_test(of_measure)
    for i, j in itertools.combinations(range(count), 2):
        q = abs(of_measure[i].mean() - of_measure[j].mean()) / np.sqrt(model.mse_resid / queries)
        assert p_values[i, j] == p_values[j, i]
        assert p_values[i, j] == pytest.approx(scipy.stats.studentized_range.sf(q, count, model.df_resid))
        (approximation,) = np.ravel(psturng(q, count, model.df_resid))
        assert p_values[i, j] == pytest.approx(approximation, abs=0.015)
    assert hsd_test(np.full((3, 5), 0.5)) is None


def test_the_randomised_hsd_test_takes_each_order_of_few_queries():
    """Three systems, four queries: the range of the means in each of the 1,296 orders, without rounding."""
    ranks = np.random.default_rng(4).integers(1, 11, (3, 4))
    exact = [[Fraction(1, int(rank)) for rank in of_system] for of_system in ranks]
    spreads = []
    for orders in itertools.product(itertools.permutations(range(3)), repeat=4):
        sums = [sum(exact[order[i]][q] for q, order in enumerate(orders)) for i in range(3)]
        spreads.append(max(sums) - min(sums))
    (p_values,) = randomised_hsd_test(1 / ranks[None])
    for i, j in itertools.combinations(range(3), 2):
        distance = abs(sum(exact[i]) - sum(exact[j]))
        assert p_values[i, j] == sum(spread >= distance for spread in spreads) / 1296


def test_of_many_queries_the_randomised_hsd_test_is_scipys(values, monkeypatch):
    """SciPy's permutations, of which each draw's range of means; whatever is drawn at a time."""
    by_measure = np.stack(list(values.values())).transpose(2, 0, 1)
    _, count, queries = by_measure.shape

    def spread(*orders, axis):
        drawn = [by_measure[:, order, np.arange(queries)].mean(axis=-1) for order in orders]
        return np.ptp(drawn, axis=0).T

    spreads = scipy.stats.permutation_test(
        [np.full(queries, system) for system in range(count)],
        spread,
        permutation_type="samples",
        n_resamples=2_000,
        batch=500,
        rng=np.random.default_rng(5),
    ).null_distribution
    found = randomised_hsd_test(by_measure)
    means = by_measure.mean(axis=2)
    for i, j in itertools.combinations(range(count), 2):
        theirs = (spreads >= abs(means[:, i] - means[:, j]) - 1e-12).mean(axis=0)
        assert found[:, i, j] == pytest.approx(theirs, abs=MONTE_CARLO + 5 * 0.5 / 2_000**0.5)
    assert 0.01 < found[0, 0, 1] < 0.99
    monkeypatch.setattr(tukey, "DRAWN", 7 * queries)
    assert randomised_hsd_test(by_measure) == pytest.approx(found, abs=2 * MONTE_CARLO)


def test_each_order_of_systems_is_drawn_as_often():
    """Of four systems: chi-squared over the 24 orders, and nothing else than orders."""
    (orders,) = tukey._orders(4, 2, 60_000)
    numbers, times = np.unique(orders.reshape(4, -1).T, axis=0, return_counts=True)
    assert numbers.tolist() == [list(order) for order in itertools.permutations(range(4))]
    assert scipy.stats.chisquare(times).pvalue > 0.001


def test_queries_on_which_all_systems_are_equal_change_no_p_value(values):
    by_measure = np.stack(list(values.values())).transpose(2, 0, 1)[:, :3, :6]
    equal = np.full((2, 3, 500), 0.5)
    longer = np.concatenate([equal, by_measure, equal], axis=2)
    assert (randomised_hsd_test(longer) == randomised_hsd_test(by_measure)).all()
    assert (randomised_hsd_test(equal) == 1).all()
    assert (randomised_hsd_test(np.random.default_rng(6).random((1, 8, 1))) == 1).all()


def test_of_two_systems_the_randomised_hsd_test_is_the_randomisation_test(values):
    few = np.array([values["bm25"][:10].T, values["dense"][:10].T]).transpose(1, 0, 2)
    assert randomised_hsd_test(few)[:, 0, 1] == pytest.approx(randomisation_test(few[:, 0] - few[:, 1]))


def test_with_tukeys_correction_all_pairs_are_compared(values, compared):
    pairs = compare_systems(values, MEASURES, "tiny", "tukey")
    others = ["bm25", "dense", "alike"]
    assert [(of.system, of.other) for of in pairs[::2]] == [
        *((system, "tiny") for system in others),
        *(("dense", "bm25"), ("alike", "bm25"), ("alike", "dense")),
    ]
    assert all(of.p_corrected >= of.p - MONTE_CARLO for of in pairs)
    by_holm = {(of.system, of.other, of.measure): of for of in compared}
    same = [(of, by_holm[key]) for of in pairs if (key := (of.system, of.other, of.measure)) in by_holm]
    assert len(same) == 4 and all((of.mean, of.p, of.t_test) == (b.mean, b.p, b.t_test) for of, b in same)
    # By randomisation it is more cautious than by the model, since systems that differ are mixed, too.
    assert all(-0.02 < of.p_corrected - of.t_test_corrected < 0.1 for of in pairs)
