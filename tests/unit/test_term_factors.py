"""Factors of terms: what they minimise, that no text gains or loses a term, and that the model stays one that
others load.
"""

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from scipy.optimize import check_grad
from scipy.sparse import random as random_matrix
from sentence_transformers import SparseEncoder
from transformers import AutoModelForMaskedLM

from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.encoder import SpladeEncoder
from repro.training import term_factors
from repro.training.choice import weights_of
from repro.training.term_factors import TermFactors
from repro.training.trainer import open_model

TEXTS = [
    "yeast makes bread rise",
    "the moon pulls the tide",
    "a wing has lift in supersonic flow",
    "bread is baked in an oven",
    "the tide is high at new moon",
    "flow around a wing is turbulent",
]
QUERIES = ["why does bread rise", "what makes the tide", "lift of a wing", "oven for bread"]
ROWS = {
    "query": QUERIES,
    "positive": [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3]],
    "negative_1": [TEXTS[3], TEXTS[4], TEXTS[5], TEXTS[0]],
    "negative_2": [TEXTS[1], TEXTS[3], TEXTS[4], TEXTS[5]],
}


@pytest.fixture
def model():
    return open_model(resolve(find_system("splade-tiny")).path, 64, stock=False, threads=1)


def margins(model):
    """Return the margins that a model has for ROWS, as Sentence Transformers computes them."""
    queries = model.encode(ROWS["query"], convert_to_tensor=True).to_dense()
    scores = [
        (queries * model.encode(ROWS[column], convert_to_tensor=True).to_dense()).sum(dim=1)
        for column in ("positive", "negative_1", "negative_2")
    ]
    return torch.stack([scores[0] - scores[1], scores[0] - scores[2]], dim=1).numpy()


def vocabulary_matrices(folder):
    """Return the names of the stored weights with a row for each term."""
    stored = load_file(folder / "model.safetensors")
    return [name for name, weight in stored.items() if weight.ndim == 2 and len(weight) == 30_522]


def rows_to_learn(learned):
    return Dataset.from_dict({**ROWS, "label": learned.tolist()})


def test_margins_come_nearer_to_those_to_be_learned_and_the_closer_the_weaker_the_prior(model):
    before = margins(model)
    learned = before + np.array([[4.0, -3.0], [-2.0, 5.0], [3.0, 3.0], [-4.0, 1.0]])
    factors = TermFactors(model, rows_to_learn(learned), 64, 1)
    base, errors = weights_of(model), [float(((before - learned) ** 2).sum())]
    for prior in (100.0, 1.0, 1e-4):
        model.load_state_dict(base)
        found = factors.fit(prior)
        assert found.min() > 0 and (found == 1).sum() > 30_000
        for name in factors.names:
            by = torch.from_numpy(found).float()
            model.state_dict()[name].mul_(by[:, None] if base[name].ndim == 2 else by)
        errors.append(float(((margins(model) - learned) ** 2).sum()))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01 * errors[0]


def test_the_gradient_is_that_of_the_objective(monkeypatch):
    kept = {}

    def minimize(objective, start, **_):
        kept["objective"], kept["start"] = objective, start
        return type("Found", (), {"x": start})

    monkeypatch.setattr(term_factors.optimize, "minimize", minimize)
    rng = np.random.default_rng(0)
    queries, passages = (random_matrix(12, 30, 0.4, "csr", np.float32, rng) for _ in range(2))
    term_factors._minimum(queries, passages, rng.normal(size=(4, 2)), 0.5)
    objective = kept["objective"]
    for at in (kept["start"], rng.normal(size=len(kept["start"]))):
        assert check_grad(lambda a: objective(a)[0], lambda a: objective(a)[1], at) < 1e-5
    assert objective(kept["start"])[0] > 0


def test_texts_without_terms_leave_every_factor_at_one(model):
    """As after a training that has gone wrong: what was made before must not be lost."""
    with torch.no_grad():
        model[0].model.get_output_embeddings().bias -= 1e4
    found = TermFactors(model, rows_to_learn(np.ones((4, 2))), 64, 1).fit()
    assert (found == 1).all() and len(found) == 30_522


def test_each_text_keeps_its_terms_and_weights_are_the_formulas(model):
    before = model.encode(TEXTS, convert_to_tensor=True).to_dense()
    factors = TermFactors(model, rows_to_learn(2 * margins(model)), 64, 1)
    fitted = torch.from_numpy(factors.fit()).float()
    assert fitted.max() > 1.01
    factors.scale(weights_of(model))
    after = model.encode(TEXTS, convert_to_tensor=True).to_dense()
    assert torch.equal(after > 0, before > 0)
    torch.testing.assert_close(after, torch.log1p(fitted * torch.expm1(before)), rtol=1e-4, atol=1e-5)


def test_the_model_is_saved_with_both_matrices_and_others_load_it(model, tmp_path):
    factors = TermFactors(model, rows_to_learn(2 * margins(model)), 64, 1)
    factors.scale(weights_of(model))
    expected = model.encode(TEXTS, convert_to_tensor=True).to_dense()
    model.save_pretrained(str(tmp_path / "m"), create_model_card=False)
    assert len(vocabulary_matrices(tmp_path / "m")) == 2
    again = SparseEncoder(str(tmp_path / "m"), device="cpu").encode(TEXTS, convert_to_tensor=True)
    torch.testing.assert_close(again.to_dense(), expected, rtol=1e-4, atol=1e-5)
    ours = SpladeEncoder(tmp_path / "m", 1).encode(TEXTS).toarray()
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    loaded, told = AutoModelForMaskedLM.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert not told["missing_keys"] and not loaded.config.tie_word_embeddings
    assert not torch.equal(loaded.get_output_embeddings().weight, loaded.get_input_embeddings().weight)


def test_a_model_whose_factors_are_not_kept_is_what_it_was(model, tmp_path):
    base = weights_of(model)
    factors = TermFactors(model, rows_to_learn(2 * margins(model)), 64, 1)
    factors.scale(base)
    model.load_state_dict(base)
    factors.share()
    assert model[0].model.get_output_embeddings().weight is model[0].model.get_input_embeddings().weight
    model.save_pretrained(str(tmp_path / "m"), create_model_card=False)
    assert len(vocabulary_matrices(tmp_path / "m")) == 1
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "m").config.tie_word_embeddings
