"""Losses of margins, beside the library's own and by hand; what holds active terms meanwhile."""

import math

import pytest
import torch
from datasets import Dataset
from sentence_transformers.sparse_encoder.callbacks.splade_callbacks import (
    SpladeRegularizerWeightSchedulerCallback,
)
from sentence_transformers.sparse_encoder.losses import (
    SparseDistillKLDivLoss,
    SparseMarginMSELoss,
    SpladeLoss,
)
from torch import nn
from transformers import TrainerState
from transformers.trainer_callback import ExportableState

from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.training.losses import (
    AT_ONCE,
    GAIN,
    LEAST,
    MOST,
    SMOOTHING,
    ActiveTermsController,
    Distillation,
    GlobalFlops,
)
from repro.training.recipe import read_recipe
from repro.training.settings import Settings
from repro.training.trainer import make_trainer, open_model

QUERIES = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
POSITIVES = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])  # scores 3 and 4
NEGATIVES = [
    torch.tensor([[1.0, 0.0, 5.0], [2.0, 1.0, 0.0]]),  # 1 and 1
    torch.tensor([[0.0, 1.0, 1.0], [7.0, 0.0, 1.0]]),  # 2 and 3
]
EMBEDDINGS = [QUERIES, POSITIVES, *NEGATIVES]
FOUND = torch.tensor([[2.0, 1.0], [3.0, 1.0]])
LABELS = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
MODEL = nn.Identity()  # the losses are of embeddings: they keep a model, and ask it nothing
HELD = ("query", "document")


def loss(kind, temperature=1.0, in_batch=False, embeddings=EMBEDDINGS, labels=LABELS):
    return float(
        Distillation(MODEL, kind, temperature, in_batch).compute_loss_from_embeddings(embeddings, labels)
    )


def divergence(temperature):
    """Return the mean over queries of sum p (log p - log q) of the candidates' softmax, by hand."""
    total = 0.0
    for labels, margins in zip(LABELS.tolist(), FOUND.tolist()):
        p, q = (
            [math.exp(score / temperature) for score in (0, *(-m for m in part))]
            for part in (labels, margins)
        )
        p, q = ([value / sum(part) for value in part] for part in (p, q))
        total += sum(a * math.log(a / b) for a, b in zip(p, q))
    return total / len(LABELS)


def test_margins_are_the_librarys_margin_mse_and_the_divergence_its_own():
    assert loss("margin_mse") == pytest.approx(
        float(SparseMarginMSELoss(MODEL).compute_loss_from_embeddings(EMBEDDINGS, LABELS))
    )
    scores = torch.cat([torch.zeros(2, 1), -LABELS], dim=1)
    theirs = SparseDistillKLDivLoss(MODEL, temperature=1.0).compute_loss_from_embeddings(EMBEDDINGS, scores)
    assert loss("kl") == pytest.approx(float(theirs))
    assert loss("kl") == pytest.approx(divergence(1.0))
    assert loss("both") == pytest.approx(loss("margin_mse") + loss("kl"))


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_scores_are_divided_by_the_temperature_those_to_be_learned_alike(temperature):
    errors = (FOUND - LABELS) / temperature  # -1, 0, 2, -1
    assert loss("margin_mse", temperature) == pytest.approx(float((errors**2).mean()))
    assert loss("kl", temperature) == pytest.approx(divergence(temperature))
    assert loss("both", temperature) == pytest.approx(
        loss("margin_mse", temperature) + loss("kl", temperature)
    )


@pytest.mark.parametrize("kind", ["margin_mse", "kl", "both"])
def test_what_has_been_learned_costs_nothing(kind):
    assert loss(kind, 3.0, labels=FOUND) == pytest.approx(0, abs=1e-6)


def test_losses_do_not_depend_on_the_scale_of_scores_if_the_temperature_has_it():
    """Queries ten times as long make scores ten times as great; so are the margins, and the temperature."""
    longer = [10 * QUERIES, *EMBEDDINGS[1:]]
    for kind in ("margin_mse", "kl", "both"):
        for in_batch in (False, True):
            scaled = loss(kind, 20.0, in_batch, longer, 10 * LABELS)
            assert scaled == pytest.approx(loss(kind, 2.0, in_batch), rel=1e-5)


def test_in_batch_the_positives_of_other_queries_are_negatives():
    """Scores of the two queries for the two positives: 3 and 2; 1 and 4."""
    entropy = (math.log(1 + math.exp((2 - 3) / 2)) + math.log(1 + math.exp((1 - 4) / 2))) / 2
    for kind in ("margin_mse", "kl", "both"):
        assert loss(kind, 2.0, in_batch=True) - loss(kind, 2.0) == pytest.approx(entropy, rel=1e-5)


def test_gradients_reach_queries_and_passages():
    embeddings = [each.clone().requires_grad_() for each in EMBEDDINGS]
    Distillation(MODEL, "both", 2.0, True).compute_loss_from_embeddings(embeddings, LABELS).backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in embeddings)


def test_the_flops_term_is_that_of_paria_and_counts_active_terms():
    flops = GlobalFlops(MODEL)
    weights = torch.tensor([[1.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.5, 0.0], [2.0, 0.0, 0.0, 1.0]])
    found = float(flops.compute_loss_from_embeddings(weights))
    assert found == pytest.approx(2.0**2 + (0.5 / 3) ** 2 + 1.0**2)
    assert float(flops.active_terms) == 2  # of each text two are more than 0


def controller(query_terms=20.0, document_terms=100.0, weight=0.01):
    """Return a controller and its loss, of which only the weights and what was counted matter."""
    splade = SpladeLoss(
        MODEL,
        Distillation(MODEL, "margin_mse", 1.0, False),
        document_regularizer_weight=weight,
        query_regularizer_weight=weight,
        document_regularizer=GlobalFlops(MODEL),
        query_regularizer=GlobalFlops(MODEL),
    )
    return ActiveTermsController(splade, query_terms, document_terms), splade


def step(held, splade, query, document):
    for part, terms in zip(HELD, (query, document)):
        getattr(splade, f"{part}_regularizer").active_terms = torch.tensor(float(terms))
    held.on_step_end(None, None, None)
    return splade.query_regularizer_weight, splade.document_regularizer_weight


def test_weights_rise_with_terms_above_what_is_held_and_fall_with_terms_below():
    held, splade = controller()
    query, document = step(held, splade, query=40, document=90)
    assert query == pytest.approx(0.01 * math.exp(GAIN + AT_ONCE))
    assert document == pytest.approx(0.01 * math.exp(-0.1 * (GAIN + AT_ONCE)))
    again, _ = step(held, splade, query=40, document=90)
    assert again == pytest.approx(0.01 * math.exp(2 * GAIN + AT_ONCE))
    held, splade = controller()
    assert step(held, splade, query=20, document=100) == pytest.approx((0.01, 0.01))


def test_a_single_odd_batch_moves_little():
    """The count is a running mean: a batch of twice the terms counts as its share of them."""
    held, splade = controller()
    step(held, splade, 20, 100)
    query, _ = step(held, splade, 40, 100)
    assert query == pytest.approx(0.01 * math.exp((GAIN + AT_ONCE) * (1 - SMOOTHING)))


def test_terms_that_follow_a_weight_late_settle_at_what_is_held():
    """Terms fall with a weight's logarithm, a twentieth of the way a step: as in training, roughly. With an
    integral alone, of ten times the gain, they swing between 12 and 25.
    """
    held, splade = controller(query_terms=20.0)
    terms, counted = 26.0, []
    for _ in range(300):
        query, _ = step(held, splade, terms, 100)
        terms += 0.05 * (26.0 - 4.0 * math.log(query / 0.01) - terms)
        counted.append(terms)
    assert min(counted) > 19 and counted[-1] == pytest.approx(20, abs=0.5)


def test_weights_stay_within_a_factor_of_the_recipes():
    held, splade = controller()
    for _ in range(100):
        query, document = step(held, splade, query=200, document=0)
    assert query == pytest.approx(0.01 * MOST) and document == pytest.approx(0.01 * LEAST)


def test_a_text_with_the_whole_vocabulary_is_no_overflow():
    held, splade = controller(query_terms=20.0)
    query, document = step(held, splade, query=30_522, document=100)
    assert query == pytest.approx(0.01 * MOST) and document == pytest.approx(0.01)


def test_a_controller_comes_back_from_what_a_checkpoint_keeps(tmp_path):
    """Through the file of the trainer, which has what ``state`` says under the name of the class."""
    held, splade = controller()
    assert isinstance(held, ExportableState)
    for terms in (35, 25, 30):
        step(held, splade, terms, 4 * terms)
    kept = TrainerState(stateful_callbacks=[held])
    kept.stateful_callbacks["ActiveTermsController"] = held.state()
    kept.global_step = 3
    kept.save_to_json(str(tmp_path / "trainer_state.json"))
    restored, other = controller()
    state = TrainerState.load_from_json(str(tmp_path / "trainer_state.json"))
    restored.on_train_begin(None, state, None)
    assert (other.query_regularizer_weight, other.document_regularizer_weight) == (
        splade.query_regularizer_weight,
        splade.document_regularizer_weight,
    )
    assert step(restored, other, 22, 90) == step(held, splade, 22, 90)  # the running counts are back, too


def test_a_training_that_begins_has_the_recipes_weights():
    held, splade = controller()
    held.on_train_begin(None, TrainerState(stateful_callbacks=[held]), None)
    assert (splade.query_regularizer_weight, splade.document_regularizer_weight) == (0.01, 0.01)


def test_the_librarys_schedule_of_the_weights_is_not_in_the_way(tmp_path):
    """It would begin with weights of 0; the trainer adds it to a SpladeLoss without one."""
    recipe = read_recipe("sample", {"max_length": "32"})
    model = open_model(resolve(find_system("splade-tiny")).path, 32, stock=True, threads=1)
    row = {"query": ["q"], "positive": ["p"], "negative_1": ["n"], "label": [[1.0]]}
    settings = Settings(32, 1.0, 1e-4, 1.0, query_terms=20.0, document_terms=100.0)
    trainer = make_trainer(model, recipe, settings, Dataset.from_dict(row), None, tmp_path)
    callbacks = trainer.callback_handler.callbacks
    (held,) = [each for each in callbacks if isinstance(each, SpladeRegularizerWeightSchedulerCallback)]
    assert isinstance(held, ActiveTermsController)
    held.on_train_begin(trainer.args, trainer.state, trainer.control)
    held.on_step_begin(trainer.args, trainer.state, trainer.control)
    assert held.loss.document_regularizer_weight == recipe.document_regularizer_weight
    step(held, held.loss, 40, 100)
    held.on_step_begin(trainer.args, trainer.state, trainer.control)
    moved = recipe.query_regularizer_weight * math.exp(GAIN + AT_ONCE)
    assert held.loss.query_regularizer_weight == pytest.approx(moved)


def test_the_log_has_the_weights():
    held, splade = controller()
    step(held, splade, 40, 100)
    logs = {"loss": 1.0}
    held.on_log(None, None, None, logs=logs)
    assert logs == {
        "loss": 1.0,
        "query_regularizer_weight": pytest.approx(0.01 * math.exp(GAIN + AT_ONCE)),
        "document_regularizer_weight": pytest.approx(0.01),
    }
