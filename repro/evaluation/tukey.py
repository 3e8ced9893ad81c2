"""Tukey's honestly significant differences (HSD) of systems that answered the same queries: all pairs.

A pair differs if its means are farther apart than the best and the worst of all systems are likely to be when
none differs from another. That corrects for the number of pairs, and knows that systems are alike. SciPy's
and statsmodels' tests of this name take groups of different subjects; here queries are blocks, as Carterette
(2012, doi:10.1145/2094072.2094076) describes for retrieval: by a model of their values, and by randomisation.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from repro.base.progress import bar
from repro.evaluation.significance import ROUNDING, on_grid, share_reached

DRAWN = 2**18
"""Orders that are drawn at a time, one a query and draw: what a processor's cache holds of them."""


def hsd_test(values: np.ndarray) -> np.ndarray | None:
    """Return the p-value of each pair of systems (systems x systems) by a two-way analysis of variance.

    ``values`` are one measure's, systems x queries. The difference of two means, over its standard error, is
    compared with the studentised range. None without variance but for rounding, or of a single query.
    """
    from scipy.stats import studentized_range

    systems, queries = values.shape
    means = values.mean(axis=1)
    residuals = values - means[:, None] - values.mean(axis=0) + values.mean()
    freedom = (systems - 1) * (queries - 1)
    squares = float((residuals**2).sum())
    if squares <= (ROUNDING * abs(values).max()) ** 2 * values.size:
        return None
    ranges = abs(means[:, None] - means) / math.sqrt(squares / freedom / queries)
    above, below = np.triu_indices(systems, 1)
    p_values = np.ones((systems, systems))
    p_values[above, below] = p_values[below, above] = studentized_range.sf(
        ranges[above, below], systems, freedom
    )
    return p_values


def randomised_hsd_test(values: np.ndarray, draws: int = 10_000) -> np.ndarray:
    """Return the p-value of each pair of systems by randomisation, measures x systems x systems.

    ``values``: measures x systems x queries. Each draw hands each query's values to the systems in another
    order, and keeps the distance of the greatest mean from the least (Carterette 2012, algorithm 1); of few
    queries, each order is taken once. Of two systems this is the paired randomisation test.

    Time goes by queries and by the square of systems: one core takes about a minute for 8 systems, 4 measures
    and the 55,578 queries of MS MARCO's dev set, where SciPy's permutation_test takes half an hour.
    """
    units = np.array([on_grid(of_measure) for of_measure in values])
    sums = units.sum(axis=2)
    distances = abs(sums[:, :, None] - sums[:, None, :])
    units -= units[:, -1:]  # the same for all systems of a query: no distance changes
    units = units[:, :-1].compress(units.any(axis=(0, 1)), axis=2)  # equal for all systems: no order of it
    _, others, queries = units.shape
    all_taken = queries * math.lgamma(others + 2) <= math.log(draws) + 1e-9
    batches = _all_orders(others + 1, queries) if all_taken else _orders(others + 1, queries, draws)
    spreads = []
    with bar(None if all_taken else draws, "Tukey's HSD", "draws") as progress:
        for orders in batches:
            spreads.append(np.ptp([_drawn_sums(units, of_system) for of_system in orders], axis=0))
            progress.update(len(spreads[-1]))
    return share_reached(np.concatenate(spreads)[..., None, None], distances, values.shape[2], all_taken)


def _drawn_sums(units: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return a system's sums, draws x measures, if ``drawn`` says whose values it has (draws x queries).

    ``units``: measures x systems x queries, without the last system, whose values are 0.
    """
    return sum((drawn == number).astype(float) @ units[:, number].T for number in range(units.shape[1]))


def _all_orders(systems: int, queries: int) -> Iterator[np.ndarray]:
    """Yield all that ``_orders`` can draw, each once."""
    orders = itertools.product(itertools.permutations(range(systems)), repeat=queries)
    count = math.factorial(systems) ** queries
    yield np.array(list(orders), np.int32).reshape(count, queries, systems).transpose(2, 0, 1)


def _orders(systems: int, queries: int, draws: int) -> Iterator[np.ndarray]:
    """Yield random orders of the systems, systems x draws x queries, some draws at a time.

    An order is drawn as its Lehmer code, in which a system's place is counted among the places that those
    before it left: so all orders of a batch are decoded at once.
    """
    rng, batch = np.random.default_rng(42), max(1, DRAWN // queries)
    dtype = np.min_scalar_type(systems)
    for start in range(0, draws, batch):
        shape = min(batch, draws - start), queries
        orders = np.zeros((systems, *shape), dtype)
        for system in reversed(range(systems - 1)):
            orders[system] = rng.integers(systems - system, size=shape, dtype=dtype)
            orders[system + 1 :] += orders[system + 1 :] >= orders[system]
        yield orders
