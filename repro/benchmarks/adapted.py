"""Whether adapting helps: on each collection the variant that others chose, tested, and the tables of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from repro.benchmarks.adapting import MEASURES, Adaptation
from repro.evaluation.significance import holm
from repro.report.markdown import table

DECISIVE, SECOND = MEASURES
SIGNIFICANT = 0.05


def best_elsewhere(differences: Mapping[str, Mapping[str, float]], collection: str) -> str:
    """Return the variant with the best mean difference over all collections but one; of equals, the first.

    ``differences``: by variant, then by collection. A single variant needs no other collection.
    """

    def elsewhere(variant: str) -> float:
        others = [value for name, value in differences[variant].items() if name != collection]
        return sum(others) / len(others)

    return max(differences, key=elsewhere) if len(differences) > 1 else next(iter(differences))


def left_out(found: Sequence[Adaptation]) -> list[Adaptation]:
    """Return, for each collection, its adaptation with the variant that is best on the others."""
    differences = _differences(found)
    collections = dict.fromkeys(one.collection for one in found)
    chosen = {collection: best_elsewhere(differences, collection) for collection in collections}
    return [one for one in found if one.variant == chosen[one.collection]]


def share_of_the_way(one: Adaptation) -> float | None:
    """Return how much of the teacher's lead over the base was made up for; None if it has no lead."""
    before = one.before[DECISIVE]
    if one.teacher is None or one.teacher <= before:
        return None
    return (one.after[DECISIVE] - before) / (one.teacher - before)


def record(found: Sequence[Adaptation]) -> dict[str, Any]:
    """Return all figures for ``--json``: what stands in the main table, and what each variant did."""
    chosen = left_out(found)
    corrected = holm([one.differences[DECISIVE].p for one in chosen])
    return {
        "left_out": [
            {"collection": one.collection, "variant": one.variant, "holm": p, "way": share_of_the_way(one)}
            for one, p in zip(chosen, corrected)
        ],
        "adaptations": [asdict(one) for one in found],
    }


def adapted_tables(found: Sequence[Adaptation]) -> str:
    """Render the effect on each collection, what it cost, and, of several variants, what each did."""
    chosen = left_out(found)
    corrected = holm([one.differences[DECISIVE].p for one in chosen])
    differences = _differences(found)
    parts = [_effects(chosen, corrected), _summary(chosen, corrected, len(differences)), _costs(chosen)]
    if any(one.wall and not one.wall.with_data for one in chosen):
        parts.append("\\* Without distillation: the training data, or a part of them, were there before.")
    if len(differences) > 1:
        parts += [f"{DECISIVE}, difference from the base with each variant:", _variants(differences)]
    return "\n\n".join(parts)


def _effects(chosen: Sequence[Adaptation], corrected: Sequence[float]) -> str:
    header = ["collection", "variant", "queries", DECISIVE, "difference", "p", "p, Holm"]
    lines = [
        [one.collection, one.variant, f"{one.queries:,}", *_effect(one, DECISIVE), f"{p:.4f}"]
        for one, p in zip(chosen, corrected)
    ]
    second = [_effect(one, SECOND) for one in chosen]
    return table([*header, SECOND, "difference", "p"], [[*a, *b] for a, b in zip(lines, second)])


def _effect(one: Adaptation, measure: str) -> list[str]:
    difference = one.differences[measure]
    change = f"{one.before[measure]:.4f} → {one.after[measure]:.4f}"
    return [change, f"{difference.mean:+.4f}", f"{difference.p:.4f}"]


def _summary(chosen: Sequence[Adaptation], corrected: Sequence[float], variants: int) -> str:
    means = [one.differences[DECISIVE].mean for one in chosen]
    significant = [mean for mean, p in zip(means, corrected) if p < SIGNIFICANT]
    better, worse = (sum(sign * mean > 0 for mean in means) for sign in (1, -1))
    surely_better, surely_worse = (sum(sign * mean > 0 for mean in significant) for sign in (1, -1))
    sentences = [
        f"{DECISIVE} rises on {better} of {len(means)} collections, significantly on {surely_better}, and "
        f"falls on {worse}, significantly on {surely_worse} (p, Holm < {SIGNIFICANT:g}); the mean difference "
        f"is {sum(means) / len(means):+.4f}.",
        "p is that of a paired, two-sided randomisation test over queries; Holm's correction is for the "
        "number of collections.",
    ]
    if variants > 1:
        sentences.append("A collection's variant is the one that is best on the others.")
    return " ".join(sentences)


def _costs(chosen: Sequence[Adaptation]) -> str:
    header = ["collection", "kept", "minutes", "terms/query", "terms/doc"]
    lines = [
        [
            one.collection,
            f"{_percent(one.kept)}{', factors' if one.factors else ''}",
            _minutes(one),
            _terms(one.query_terms),
            _terms(one.document_terms),
            "–" if one.teacher is None else f"{one.teacher:.4f}",
            _percent(share_of_the_way(one)),
        ]
        for one in chosen
    ]
    return table([*header, f"teacher's {DECISIVE}", "of the way"], lines)


def _variants(differences: Mapping[str, Mapping[str, float]]) -> str:
    collections = list(next(iter(differences.values())))
    lines = [
        [variant, f"{sum(of.values()) / len(of):+.4f}", *(f"{of[name]:+.4f}" for name in collections)]
        for variant, of in differences.items()
    ]
    return table(["variant", "mean", *collections], lines)


def _differences(found: Sequence[Adaptation]) -> dict[str, dict[str, float]]:
    differences: dict[str, dict[str, float]] = {}
    for one in found:
        differences.setdefault(one.variant, {})[one.collection] = one.differences[DECISIVE].mean
    return differences


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _minutes(one: Adaptation) -> str:
    if one.wall is None:
        return "–"
    return f"{one.wall.seconds / 60:.1f}{'' if one.wall.with_data else '*'}"


def _terms(terms: tuple[float | None, float | None]) -> str:
    return " → ".join("–" if value is None else f"{value:.1f}" for value in terms)
