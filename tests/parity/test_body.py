"""The compiled body against transformers' own forward pass, in float32 and, for the true value, float64."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import kernels_of
from transformers import BertConfig, BertForMaskedLM, DistilBertConfig, DistilBertForMaskedLM

from repro.splade import native
from repro.splade.body import CompiledBody, ModelBody, compiles
from repro.splade.bypass import hidden_states

VOCABULARY = 300


def bert(d=128, layers=2, wide=512, **settings) -> BertForMaskedLM:
    settings = {"num_attention_heads": d // 64, **settings}
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=d, num_hidden_layers=layers, intermediate_size=wide, **settings
    )
    return grown(BertForMaskedLM, config)


def distilbert(**settings) -> DistilBertForMaskedLM:
    config = DistilBertConfig(
        vocab_size=VOCABULARY, dim=192, n_layers=3, n_heads=3, hidden_dim=768, **settings
    )
    return grown(DistilBertForMaskedLM, config)


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
}


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
    [{"num_attention_heads": 4}, {"hidden_act": "relu"}, {"wide": 100}, {"is_decoder": True}],
    ids=["heads of 32", "ReLU", "an odd width", "a decoder"],
)
def test_what_the_kernels_do_not_compute_is_left_to_the_model(settings, level):
    assert not compiles(bert(**settings))


def test_without_kernels_the_model_computes():
    with kernels_of("none"):
        assert not compiles(bert())
