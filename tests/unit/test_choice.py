"""Averages of base and trained weights, and which of them is kept by what held-out queries say."""

import numpy as np
import pytest
import torch
from conftest import write_beir

from repro.collections.opening import open_collection
from repro.evaluation.measures import Figures
from repro.evaluation.significance import interval
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.sparse_encoder import splade_max
from repro.training import choice
from repro.training.candidates import MEASURE, Candidate
from repro.training.choice import average, choose_weights, keep_average
from repro.training.trainer import open_model

SHARES = [0.33, 0.67, 1]


@pytest.fixture(scope="module")
def tiny():
    return resolve(find_system("splade-tiny")).path


@pytest.fixture
def model(tiny):
    return open_model(tiny, 64, stock=False, threads=1)


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def disturb(model, size, seed=1):
    """Move all weights by noise of ``size`` times their own deviation, as a training would; return them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += size * weight.std() * torch.randn(weight.shape, generator=generator)
    return weights(model)


def same(one, other):
    """Tell whether weights are equal, to the bit."""
    return one.keys() == other.keys() and all(
        weight.numpy().tobytes() == other[name].numpy().tobytes() for name, weight in one.items()
    )


def candidate(share, values, terms=100.0, p=None, query_terms=10):
    """``values``: nDCG@10 of each query; the base's are 0.5."""
    per_query = {f"q{i}": {MEASURE: value} for i, value in enumerate(values)}
    figures = Figures({MEASURE: float(np.mean(values))}, per_query, len(values), 0)
    least = None if p is None else interval(np.array(values) - 0.5)[0]
    return Candidate(share, figures, np.full(len(values), query_terms), terms, p, least)


def test_an_average_is_between_the_base_and_the_trained_weights():
    base = {"w": torch.tensor([1.0, -2.0, 0.1]), "ids": torch.tensor([0, 1, 2])}
    trained = {"w": torch.tensor([3.0, 2.0, 0.7]), "ids": torch.tensor([0, 1, 2])}
    assert torch.equal(average(base, trained, 0)["w"], base["w"])
    assert torch.equal(average(base, trained, 1)["w"], trained["w"])
    assert torch.allclose(average(base, trained, 0.5)["w"], torch.tensor([2.0, 0.0, 0.4]))
    assert torch.allclose(average(base, trained, 0.25)["w"], torch.tensor([1.5, -1.0, 0.25]))
    assert torch.equal(average(base, trained, 0.5)["ids"], base["ids"])


def test_the_ends_of_the_line_are_the_models_themselves_to_the_bit(model):
    base = weights(model)
    trained = disturb(model, 0.1)
    assert same(average(base, trained, 0), base) and same(average(base, trained, 1), trained)
    assert not same(average(base, trained, 0.5), base)


def test_without_held_out_queries_the_median_of_the_shares_is_left(model):
    base = weights(model)
    trained = disturb(model, 0.1)
    model.load_state_dict(base)
    share, why = keep_average(model, base, trained, [1, 0.33, 0.67])
    assert share == 0.67 and "67% of the way from the base" in why and "unmeasured" in why
    assert same(weights(model), average(base, trained, 0.67))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """A part of the sample in BEIR's layout: 15 queries and the beginnings of what is judged for them."""
    collection = open_collection("sample")
    queries = collection.queries()[:15]
    qrels = {query.id: collection.qrels()[query.id] for query in queries}
    pool = {docid for judged in qrels.values() for docid in judged}
    folder = tmp_path_factory.mktemp("choice") / "part"
    write_beir(
        folder,
        [(d.id, "", " ".join(d.text.split()[:12])) for d in collection.documents() if d.id in pool],
        [(query.id, query.text) for query in queries],
        [(query, docid, grade) for query, judged in qrels.items() for docid, grade in judged.items()],
    )
    return folder


def test_a_training_that_only_did_harm_leaves_exactly_the_bases_weights(model, held_out):
    base = weights(model)
    trained = disturb(model, 0.5)
    found = choose_weights(model, base, trained, SHARES, open_collection(str(held_out)), 1)
    assert same(weights(model), base)
    assert found.kept is found.candidates[0] and found.kept.share == 0 and found.kept.p is None
    assert [each.share for each in found.candidates] == [0, *SHARES]
    assert all(each.p > 0.05 for each in found.candidates[1:])
    assert "nothing beats the base significantly" in found.why and "on 15 held-out queries" in found.why


def test_a_training_that_helped_is_kept_with_the_share_that_helped_most_surely(model, held_out):
    """The base is a model that was spoiled, and the trained one splade-tiny: the way back helps."""
    trained = weights(model)
    base = disturb(model, 0.5)
    found = choose_weights(model, base, trained, SHARES, open_collection(str(held_out)), 1)
    figures = {each.share: each.figures.mean[MEASURE] for each in found.candidates}
    assert figures[0] < figures[1] - 0.1
    first, *tested = found.candidates
    allowed = [each for each in tested if each.document_terms <= first.document_terms]
    assert min(each.p for each in allowed) < 0.05
    assert found.kept.share == max(allowed, key=lambda each: each.least).share > 0
    for each in tested:
        assert each.least < each.figures.mean[MEASURE] - figures[0]
    kept, line = weights(model), average(base, trained, found.kept.share)
    assert all(torch.equal(kept[name], line[name]) for name in kept if not name.endswith("bias"))
    assert f"kept {found.kept.share:.0%} of the way" in found.why and f"{figures[0]:.4f} -> " in found.why


class Doubling:
    """In the place of factors that are fitted: as many times 1 as there are fits, so each tells its place."""

    def __init__(self, model):
        self.model, self.fitted = model, []

    def fit(self):
        self.fitted.append(weights(self.model))
        return np.full(30_522, 1 + len(self.fitted), float)

    def applied(self, factors, given):
        bias = splade_max(self.model).layer.bias
        return {n: w * factors[0] if w.shape == bias.shape else w for n, w in given.items()}


def test_each_average_has_factors_that_were_fitted_to_it_and_so_has_the_base(model, held_out):
    trained = weights(model)
    base, factors = disturb(model, 0.5), Doubling(model)
    collection = open_collection(str(held_out))
    found = choose_weights(model, base, trained, SHARES, collection, 1, factors=factors)
    assert [(each.share, each.factors) for each in found.candidates[:2]] == [(0, False), (0, True)]
    assert [each.share for each in found.candidates[2:]] == SHARES
    assert len(factors.fitted) == 4  # what is kept is not fitted again
    for share, seen in zip([0, *SHARES], factors.fitted):
        assert same(seen, average(base, trained, share))
    assert found.kept.share > 0
    line = average(base, trained, found.kept.share)
    (place,) = [i for i, each in enumerate(found.candidates) if each is found.kept]
    expected = factors.applied(np.full(1, 1.0 + place), line)
    kept = weights(model)
    lowered = {n: expected[n] - kept[n] for n in kept if n.endswith("bias") and kept[n].shape == (30_522,)}
    assert lowered and all(np.ptp(each.numpy()) < 1e-4 for each in lowered.values())
    assert all(torch.equal(kept[name], expected[name]) for name in kept if name not in lowered)


@pytest.mark.parametrize("share", [0.5, 0.9, 1, 2])
def test_queries_are_held_to_a_number_of_terms_and_lose_the_weakest(model, share):
    queries = open_collection("sample").queries()[:20]
    texts = [query.text for query in queries]
    before = model.encode(texts, convert_to_tensor=True).to_dense()
    active, base = (before > 0).sum(dim=1).numpy(), weights(model)
    choice.hold_terms(model, queries, share * active, 1)
    after = model.encode(texts, convert_to_tensor=True).to_dense()
    if share >= 1:
        assert same(weights(model), base)
        return
    more = (after > 0).sum(dim=1).numpy() - share * active
    assert -2 <= more.mean() + 1.645 * more.std() / 20**0.5 <= 0  # that is how far the next one would lead
    assert before[after > 0].min() >= before[(after == 0) & (before > 0)].max()
    moved = {name for name, weight in weights(model).items() if not torch.equal(weight, base[name])}
    assert moved and all(name.endswith("bias") for name in moved)


def test_the_more_queries_differ_the_fewer_terms_are_allowed(model):
    """So that others of their kind will hardly have more than the base's, either."""
    queries = open_collection("sample").queries()[:20]
    texts = [query.text for query in queries]
    active, base = (model.encode(texts).to_dense() > 0).sum(dim=1).numpy(), weights(model)
    left = []
    for apart in (0, 4):
        model.load_state_dict(base)
        choice.hold_terms(model, queries, active - 2 + apart * (-1) ** np.arange(20), 1)
        left.append(int((model.encode(texts).to_dense() > 0).sum()))
    assert left[1] < left[0] <= active.sum() - 40


def test_the_surest_gain_is_kept_if_one_of_them_beats_the_base_significantly():
    base = candidate(0, [0.5] * 10)
    tested = [
        candidate(0.3, [0.6] * 10, p=0.01),
        candidate(0.6, [0.7, 0.9] * 5, p=0.06),
        candidate(1, [0.5, 1.3] * 5, p=0.04),
    ]
    found = choice._choose(base, tested, base.document_terms)
    assert found.kept.share == 0.6 and found.candidates == [base, *tested]
    assert "0.5000 -> 0.8000" in found.why and "p = 0.0100 that none is better" in found.why
    assert choice._choose(base, tested[1:2], base.document_terms).kept is base


def test_what_has_more_terms_than_the_base_is_not_kept():
    base = candidate(0, [0.5] * 10, terms=100.0)
    denser = candidate(1, [0.9] * 10, terms=101.0, p=0.001)
    found = choice._choose(base, [denser, candidate(0.3, [0.6] * 10, terms=100.0, p=0.01)], 100.0)
    assert found.kept.share == 0.3
    refused = choice._choose(base, [denser], 100.0)
    assert refused.kept is base and "what beats the base has more terms" in refused.why
    assert "101.0 a document, held to 100.0" in refused.why and "nothing beats the base" not in refused.why
    assert choice._choose(base, [denser], 101.0).kept is denser  # where a recipe states a number
    longer = candidate(1, [0.9] * 10, terms=90.0, p=0.001, query_terms=11)
    assert choice._choose(base, [longer], 101.0).kept is base
    unsure = candidate(0.3, [0.6] * 10, terms=100.0, p=0.07)
    assert (
        choice._choose(base, [denser, unsure], 100.0).kept is base
    )  # not significant without the denser one
