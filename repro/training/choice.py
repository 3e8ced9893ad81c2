"""Which weights are kept of a training: the base's, the trained ones, or an average of both.

Averages of the two lie on a line, w = base + share (trained - base), which often has a better point than its
ends (Wortsman et al. 2022, arXiv:2109.01903). Each is measured on held-out queries as a table would measure
it: impacts, dot products, nDCG@10 with all judgments. If one of them beats the base significantly, corrected
for their number, the training has helped, and the surest gain is kept, the one whose 95 % interval begins
highest; else the base is.

Texts may not have more terms than the base gives them. Where queries might, their weakest terms are taken
away (``hold_terms``); what gives documents more all the same takes no part.

Where a recipe asks for factors of terms (``term_factors.py``), each average has its own, and the base's
weights with factors are measured, too.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from repro.base.progress import bar
from repro.collections.model import Collection, Query
from repro.evaluation.significance import better_than_baseline, interval
from repro.splade.encoder import SpladeEncoder
from repro.splade.sparse_encoder import splade_max
from repro.training.candidates import MEASURE, Candidate, HeldOut, encoded_queries, measure

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

    from repro.training.term_factors import TermFactors

SIGNIFICANT = 0.05
ONE_SIDED = 1.645
"""Standard errors above a mean, beneath which the true one lies at 95 %."""
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Choice:
    """The candidates, the base first, the one that is kept, and why, in a sentence."""

    candidates: list[Candidate]
    kept: Candidate
    why: str


def average(base: Weights, trained: Weights, share: float) -> Weights:
    """Return the weights at ``share`` of the way from ``base`` (0) to ``trained`` (1)."""
    if share == 0:
        return base
    return {
        name: torch.lerp(weight, trained[name], share) if weight.is_floating_point() else weight
        for name, weight in base.items()
    }


def choose_weights(
    model: "SparseEncoder",
    base: Weights,
    trained: Weights,
    shares: Sequence[float],
    held_out: Collection,
    threads: int,
    most_terms: float | None = None,
    factors: "TermFactors | None" = None,
) -> Choice:
    """Measure the base and each share of the way to the trained weights; leave what is kept in ``model``.

    With ``factors``, each share has those that fit it, and so has the base beside the base itself. On
    average, texts may have as many terms as the base gives them, documents ``most_terms``.
    """
    read = HeldOut.read(held_out)
    model.load_state_dict(base)
    if not is_finite(trained):
        kept = measure(model, 0.0, read, threads)
        return Choice([kept], kept, "the training diverged, so the base's weights are kept as they are")
    points = [0.0, *shares] if factors else shares
    fitted: dict[float, np.ndarray] = {}

    def load(share: float) -> None:
        weights = average(base, trained, share)
        model.load_state_dict(weights)
        if factors:
            if share not in fitted:
                fitted[share] = factors.fit()
            model.load_state_dict(factors.applied(fitted[share], weights))
        if share:  # factors alone leave texts their terms
            hold_terms(model, read.queries, found[0].query_terms, threads)

    with bar(1 + len(points), "choosing among averages", "models") as progress:
        found = [measure(model, 0.0, read, threads)]
        progress.update()
        for share in points:
            load(share)
            found.append(measure(model, share, read, threads))
            progress.update()
    choice = _choose(found[0], _tested(found[1:], found[0]), max(found[0].document_terms, most_terms or 0.0))
    if choice.kept.p is None:
        model.load_state_dict(base)
    else:
        load(choice.kept.share)
    return choice


def hold_terms(model: "SparseEncoder", queries: Sequence[Query], most: np.ndarray, threads: int) -> None:
    """Lower all biases of the output layer by one number, if need be, as large as leaves ``queries`` at most
    so many terms on average, the strongest.

    most: of each of the queries. Not only these may have no more of them: by what their differences tell, 95
    times in 100 neither would all queries of their kind. A layer without biases stays as it is.
    """
    layer = splade_max(model).layer
    topics = encoded_queries(SpladeEncoder(model, threads, device="cpu"), queries)
    logits = np.expm1(topics.data.astype(np.float64))
    query = np.repeat(np.arange(len(queries)), np.diff(topics.indptr))

    def is_held(threshold: float) -> bool:
        more = np.bincount(query[logits > threshold], minlength=len(queries)) - most
        return bool(more.mean() + ONE_SIDED * more.std() / len(more) ** 0.5 <= 0)

    if layer.bias is None or is_held(0.0):
        return
    levels = np.sort(logits)
    last = min(bisect.bisect_left(levels, True, key=is_held), len(levels) - 2)  # what goes, all below it, too
    threshold = torch.tensor(levels[last : last + 2].mean())
    bias = layer.bias.detach().clone()  # of which there may be copies under other names
    with torch.no_grad():
        for one in model.parameters():
            if one.shape == bias.shape and torch.equal(one, bias):
                one.sub_(threshold)


def keep_average(
    model: "SparseEncoder",
    base: Weights,
    trained: Weights,
    shares: Sequence[float],
    factors: "TermFactors | None" = None,
) -> tuple[float, str]:
    """Leave the median of the shares in ``model``, where nothing is held out to choose by; return it, and why
    in a sentence.
    """
    share = sorted(shares)[(len(shares) - 1) // 2]
    weights = average(base, trained, share)
    if factors:
        factors.scale(weights)
    else:
        model.load_state_dict(weights)
    return share, (
        f"kept {share:.0%} of the way from the base, unmeasured: no judged queries are held out to choose by"
    )


def is_finite(weights: Weights) -> bool:
    """Tell whether all weights are numbers: those of a training that diverged are not."""
    return all(weight.isfinite().all() for weight in weights.values() if weight.is_floating_point())


def weights_of(model: "SparseEncoder") -> Weights:
    """Return a copy of a model's weights, on the CPU."""
    return {name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()}


def _tested(candidates: list[Candidate], base: Candidate) -> list[Candidate]:
    """Return candidates with how sure it is that they are better than the base."""
    p_values = better_than_baseline([c.figures for c in candidates], base.figures, MEASURE)
    place = list(base.figures.mean).index(MEASURE)
    gains = [(c.figures.values() - base.figures.values())[:, place] for c in candidates]
    return [replace(c, p=p, least=interval(gain)[0]) for c, p, gain in zip(candidates, p_values, gains)]


def _choose(base: Candidate, tested: list[Candidate], most_terms: float) -> Choice:
    def best_of(candidates: list[Candidate]) -> Candidate:
        return max(candidates, key=lambda c: c.figures.mean[MEASURE])

    def surest_of(candidates: list[Candidate]) -> float:
        return min((c.p for c in candidates if c.p is not None), default=1.0)

    def has_more_terms(c: Candidate) -> bool:
        return c.document_terms > most_terms or c.query_terms.mean() > base.query_terms.mean()

    eligible = [c for c in tested if not has_more_terms(c)]
    if surest_of(eligible) < SIGNIFICANT:
        kept = max(eligible, key=lambda c: -1.0 if c.least is None else c.least)
        why = f"kept {kept.name}: {_measured(base, kept, surest_of(eligible))}"
        return Choice([base, *tested], kept, why)
    if surest_of(tested) < SIGNIFICANT:
        denser = best_of([c for c in tested if has_more_terms(c)])
        why = (
            f"what beats the base has more terms ({denser.query_terms.mean():.1f} a query, held to "
            f"{base.query_terms.mean():.1f}; {denser.document_terms:.1f} a document, held to "
            f"{most_terms:.1f}), so its weights are kept as they are: {denser.name} has "
            f"{_measured(base, denser, surest_of(tested))}"
        )
    else:
        best = best_of(tested)
        why = (
            "nothing beats the base significantly, so its weights are kept as they are: the best, "
            f"{best.name}, has {_measured(base, best, surest_of(tested))}"
        )
    return Choice([base, *tested], base, why)


def _measured(base: Candidate, best: Candidate, p: float) -> str:
    before, after = base.figures.mean[MEASURE], best.figures.mean[MEASURE]
    found = f"{MEASURE} {before:.4f} -> {after:.4f} on {len(base.figures.per_query):,} held-out queries"
    return f"{found} (p = {p:.4f} that none is better)"
