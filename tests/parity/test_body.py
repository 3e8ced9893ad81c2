"""The compiled body against transformers' own forward pass, in float32 and, for the true value, float64."""

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from conftest import kernels_of
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertModel,
)

from repro.compiled import native
from repro.compiled.body import CompiledBody, compiles
from repro.splade.bypass import ModelBody, hidden_states

VOCABULARY = 300


def bert(d=128, layers=2, wide=512, architecture=BertForMaskedLM, **settings):
    settings = {"num_attention_heads": d // 64, **settings}
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=d, num_hidden_layers=layers, intermediate_size=wide, **settings
    )
    return grown(architecture, config)


def distilbert(architecture=DistilBertForMaskedLM, **settings):
    config = DistilBertConfig(
        vocab_size=VOCABULARY, dim=192, n_layers=3, n_heads=3, hidden_dim=768, **settings
    )
    return grown(architecture, config)


def grown(architecture, config):
    """A model all of whose numbers matter: peaked attention, GELU beyond its linear parts, gains, biases."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        model = architecture(config)
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape)
            parameter.add_(noise * (0.3 if parameter.dim() == 1 else 1.5 / parameter.shape[1] ** 0.5))
    return model.eval()


def tokens(texts: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(0, VOCABULARY, (texts, length))


def rms(errors: torch.Tensor) -> float:
    return float(errors.square().mean().sqrt())


@pytest.fixture(params=native.LEVELS)
def level(request):
    """Run the test with the kernels of each level."""
    with kernels_of(request.param):
        yield request.param


MODELS = {
    "BERT-Tiny": bert,
    "one head, one layer": lambda: bert(64, 1, 64),
    "BERT-Small's width": lambda: bert(512, 1, 2048),
    "another epsilon": lambda: bert(layer_norm_eps=1e-3),
    "DistilBERT": distilbert,
    "heads of 32": lambda: bert(192, 2, 768, num_attention_heads=6),
}
ENCODERS = {
    "BERT": lambda: bert(192, 2, 448, BertModel, num_attention_heads=6),
    "BERT without its pooler": lambda: bert(128, 1, 512, partial(BertModel, add_pooling_layer=False)),
    "DistilBERT": lambda: distilbert(DistilBertModel),
}
"""Models without an output layer."""


@pytest.mark.parametrize("name", MODELS)
def test_hidden_states_are_as_near_to_the_truth_as_the_models_own(name, level):
    model = MODELS[name]()
    assert compiles(model)
    ours, theirs, true = CompiledBody(model), ModelBody(model), ModelBody(copy.deepcopy(model).double())
    for length in [1, 2, 5, 6, 7, 15, 16, 17, 63, 64, 65, 113, 512]:  # tiles of six rows, registers of 16
        ids = tokens(2 if length == 512 else 5, length)
        with torch.inference_mode():
            expected = hidden_states(true.model, input_ids=torch.from_numpy(ids))
        assert ours(ids).shape == expected.shape
        their_error, our_error = (body(ids) - expected for body in (theirs, ours))
        assert rms(our_error) <= 1.5 * rms(their_error)
        assert our_error.abs().max() <= 4e-6 * expected.abs().max()


@pytest.mark.parametrize("name", ENCODERS)
def test_last_hidden_states_are_as_near_to_the_truth_as_the_models_own(name, level):
    model = ENCODERS[name]()
    assert compiles(model)
    ours, true = CompiledBody(model), copy.deepcopy(model).double()
    for length in [1, 5, 6, 17, 64, 65, 200]:
        ids = torch.from_numpy(tokens(3, length))
        with torch.inference_mode():
            theirs, expected = (one(input_ids=ids).last_hidden_state for one in (model, true))
        their_error, our_error = theirs - expected, ours(ids.numpy()) - expected
        assert rms(our_error) <= 1.5 * rms(their_error)
        assert our_error.abs().max() <= 4e-6 * expected.abs().max()


@pytest.mark.parametrize("name", ENCODERS)
def test_a_texts_states_are_the_same_in_any_batch_and_alone(name, level):
    """To the last bit; and those of first tokens, for which less is computed, are the first of all."""
    body = CompiledBody(ENCODERS[name]())
    batch = [tokens(3, 40), tokens(1, 7), tokens(170, 2), tokens(2, 1)]  # more than are copied at a time
    found, firsts = body.states(batch), body.states(batch, first=True)
    for ids, states, first in zip(batch, found, firsts):
        assert states.shape == (*ids.shape, body.d) and first.shape == (len(ids), 1, body.d)
        np.testing.assert_array_equal(first, states[:, :1])
        for text, alone in zip(ids, states):
            np.testing.assert_array_equal(body.states([text[None]])[0][0], alone)


def test_threads_do_not_share_a_workspace(level):
    body = CompiledBody(bert())
    batches = [tokens(1 + i % 7, 1 + 13 * i % 60) for i in range(64)]
    expected = [body(ids) for ids in batches]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(body, batches)):
            assert torch.equal(one, other)


def test_a_token_without_an_embedding_is_no_read_beyond_the_end(level):
    body = CompiledBody(bert())
    for wrong in (VOCABULARY, -1, 2**40):
        with pytest.raises(IndexError, match=f"tokens: {wrong}, but the model has ids from 0 to 299"):
            body(np.array([[1, wrong]]))
    with pytest.raises(IndexError, match="513 tokens: the model has 512 positions"):
        body(np.ones((1, 513), np.int64))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_attention_heads": 8},
        {"hidden_act": "relu"},
        {"wide": 100},
        {"is_decoder": True},
        {"d": 96, "num_attention_heads": 3},
    ],
    ids=["heads of 16", "ReLU", "an odd width", "a decoder", "an odd size"],
)
def test_what_the_kernels_do_not_compute_is_left_to_the_model(settings, level):
    assert not compiles(bert(**settings))


@pytest.mark.parametrize("part", ["encoder.layer.1.output.dense", "embeddings.word_embeddings"])
def test_a_changed_module_is_left_to_the_model(part, level):
    hooked, replaced = bert(architecture=BertModel), bert(architecture=BertModel)
    hooked.get_submodule(part).register_forward_hook(lambda module, inputs, output: output * 2)
    vars(replaced.get_submodule(part))["forward"] = lambda inputs: inputs
    assert not compiles(hooked) and not compiles(replaced) and compiles(bert(architecture=BertModel))


def test_without_kernels_the_model_computes():
    with kernels_of("none"):
        assert not compiles(bert())
