"""Systems compared by their values on the same queries: differences, tests corrected for their number, effect
sizes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from repro.base.progress import track
from repro.cli.shown_options import HOLM, TUKEY
from repro.evaluation.significance import (
    Difference,
    difference,
    effect_size,
    holm,
    interval,
    randomisation_test,
    t_test,
)
from repro.evaluation.tukey import hsd_test, randomised_hsd_test

ALPHA = 0.05
"""Corrected p-values below it count as significant."""
TESTS = {HOLM: ("t-test", "randomisation"), TUKEY: ("HSD", "randomised HSD")}
"""Of which tests the corrected p-values are."""


@dataclass(frozen=True)
class Comparison(Difference):
    """A system beside another by one measure: ``mean`` is its mean value minus the other's.

    ``p`` is of the randomisation test, ``t_test`` of the paired t-test, both two-sided, and both again
    ``corrected``; ``low`` to ``high`` is the 95 % interval of the mean difference (bootstrap over queries),
    ``effect`` Cohen's d of paired values. None is what is not defined, as all differences are equal.
    """

    system: str
    other: str
    measure: str
    low: float
    high: float
    effect: float | None
    t_test: float | None
    p_corrected: float
    t_test_corrected: float | None

    @property
    def equal(self) -> int:
        """The number of queries on which both have the same value."""
        return self.queries - self.better - self.worse

    @property
    def significant(self) -> bool:
        """Whether the systems differ, by the corrected randomisation test."""
        return self.p_corrected < ALPHA


def compare_systems(
    values: Mapping[str, np.ndarray], measures: Sequence[str], baseline: str, correction: str = HOLM
) -> list[Comparison]:
    """Compare systems with ``baseline``, each by each measure; ``values`` are queries x measures, by system.

    ``correction`` is for the number of comparisons by one measure, as measures tell much the same: Holm's of
    the p-values of both tests, or Tukey's HSD, by a model in the place of the t-test and by randomisation in
    that of the other. That compares all pairs of systems; those with the baseline come first.
    """
    others = [system for system in values if system != baseline]
    pairs = [(system, baseline) for system in others]
    if correction == TUKEY:
        pairs += [(one, other) for i, other in enumerate(others) for one in others[i + 1 :]]
    if not pairs:
        return []
    found = list(_compared(values, measures, pairs))
    return _by_tukey(found, values, measures) if correction == TUKEY else _by_holm(found, measures)


def _compared(
    values: Mapping[str, np.ndarray], measures: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> Iterator[Comparison]:
    """Yield each pair's comparison by each measure; the corrected p-values are those of the tests as yet."""
    differences = np.concatenate([(values[one] - values[other]).T for one, other in pairs])
    by_randomisation = iter(randomisation_test(differences).tolist())
    for one, other in track(pairs, len(pairs), "comparing systems", "pairs"):
        for measure, ours, theirs in zip(measures, values[one].T, values[other].T, strict=True):
            p, p_of_t = next(by_randomisation), t_test(ours, theirs)
            low, high = interval(ours - theirs)
            yield Comparison(
                **vars(difference(ours - theirs, p)),
                system=one,
                other=other,
                measure=measure,
                low=low,
                high=high,
                effect=effect_size(ours, theirs),
                t_test=p_of_t,
                p_corrected=p,
                t_test_corrected=p_of_t,
            )


def _by_holm(found: Sequence[Comparison], measures: Sequence[str]) -> list[Comparison]:
    corrected = {}
    for measure in measures:
        family = [of for of in found if of.measure == measure]
        # A test that is not defined still counts as one of the family: the last, as if its p were 1.
        of_t = holm([1.0 if of.t_test is None else of.t_test for of in family])
        for of, p, p_of_t in zip(family, holm([of.p for of in family]), of_t):
            told = None if of.t_test is None else p_of_t
            corrected[of.system, measure] = replace(of, p_corrected=p, t_test_corrected=told)
    return [corrected[of.system, of.measure] for of in found]


def _by_tukey(
    found: Sequence[Comparison], values: Mapping[str, np.ndarray], measures: Sequence[str]
) -> list[Comparison]:
    by_measure = np.stack(list(values.values())).transpose(2, 0, 1)  # measures x systems x queries
    randomised = dict(zip(measures, randomised_hsd_test(by_measure)))
    modelled = dict(zip(measures, map(hsd_test, by_measure)))
    place = {system: i for i, system in enumerate(values)}
    corrected = []
    for of in found:
        pair, by_model = (place[of.system], place[of.other]), modelled[of.measure]
        corrected.append(
            replace(
                of,
                p_corrected=float(randomised[of.measure][pair]),
                t_test_corrected=None if by_model is None else float(by_model[pair]),
            )
        )
    return corrected
