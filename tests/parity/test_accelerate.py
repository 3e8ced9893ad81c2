"""An accelerated SparseEncoder beside the stock one: the same tensors for the same calls, whatever happens to
the model in between.
"""

import copy
import itertools
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch
from conftest import kernels_of, real_collection
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from repro import accelerate, restore
from repro.collections.opening import open_collection
from repro.compiled import native
from repro.compiled.body import compiles
from repro.models.systems import find_system
from repro.models.weights import resolve

PROMPTS = {"query": "the question is: ", "document": "a passage: "}
BERT_SHAPE = {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128}


def random_model(name: str, words: int):
    """A model of random weights that gives texts some hundred terms."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        if name == "distilbert":
            shape = {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 1, "tie_word_embeddings": False}
            model = DistilBertForMaskedLM(DistilBertConfig(vocab_size=words, **shape))
        elif name == "heads of 32":
            model = BertForMaskedLM(BertConfig(vocab_size=words, num_attention_heads=2, **BERT_SHAPE))
        else:  # numbers its positions after the padding's id
            shape = {**BERT_SHAPE, "num_attention_heads": 1}
            model = RobertaForMaskedLM(RobertaConfig(vocab_size=words, pad_token_id=0, **shape))
        layer = model.get_output_embeddings()
        with torch.no_grad():
            layer.weight.normal_(0, 0.3)
            layer.bias.fill_(-6.0)
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The released splade-tiny; DistilBERT, which compiles, and two that do not, of random weights."""
    tiny = resolve(find_system("splade-tiny")).path
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    found = {"splade-tiny": tiny}
    for name in ("distilbert", "heads of 32", "roberta"):
        found[name] = tmp_path_factory.mktemp("models") / name.replace(" ", "-")
        random_model(name, len(tokenizer)).save_pretrained(found[name])
        tokenizer.save_pretrained(found[name])
    return found


@cache
def body_of(folder) -> Transformer:
    return Transformer(str(folder), transformer_task="fill-mask", max_seq_length=70)


def load(folder, **settings) -> SparseEncoder:
    """Return a stock model of its own, of modules that were read once."""
    modules = [copy.deepcopy(body_of(folder)), SpladePooling("max")]
    return SparseEncoder(modules=modules, device="cpu", prompts=PROMPTS, **settings)


@pytest.fixture(scope="module")
def pair(folders):
    """Two models of the same weights: stock, and accelerated."""
    return load(folders["splade-tiny"]), accelerate(load(folders["splade-tiny"]), threads=2)


def sample_texts(count: int) -> list[str]:
    documents = open_collection("sample").documents()
    return ["", "?", *(document.text for document in itertools.islice(documents, count))]


def assert_same(found, expected, tolerance: float = 1e-5) -> None:
    """Assert the same type, shape, layout and numbers; a weight below the tolerance may be there or not."""
    assert type(found) is type(expected)
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other, tolerance)
        return
    for fact in ("shape", "dtype", "layout", "device", "requires_grad"):
        assert getattr(found, fact) == getattr(expected, fact), fact
    assert found.is_inference() == expected.is_inference()
    if expected.is_sparse:
        assert found.is_coalesced() == expected.is_coalesced()
        assert found._indices().dtype == expected._indices().dtype
        found, expected = found.to_dense(), expected.to_dense()
    assert expected.numel() == 0 or (found - expected).abs().max() <= tolerance


def forbid_stock(monkeypatch) -> None:
    """Let the stock loop fail, so that nothing falls back to it."""

    def refuse(*arguments, **options):
        raise AssertionError("the stock loop was called")

    monkeypatch.setattr(SparseEncoder, "_inference", refuse)


@pytest.fixture(scope="module")
def stock_vectors(folders):
    """Texts, and what the stock model of each architecture makes of them."""
    texts = sample_texts(40)
    return texts, {name: load(folder).encode(texts, batch_size=4) for name, folder in folders.items()}


@pytest.mark.parametrize("name", ["splade-tiny", "distilbert", "heads of 32", "roberta"])
@pytest.mark.parametrize("level", [*native.LEVELS, "none"])
def test_the_same_vectors_from_every_architecture(folders, stock_vectors, name, level, monkeypatch):
    texts, expected = stock_vectors[0], stock_vectors[1][name]
    model = load(folders[name])
    assert expected._nnz() > 20 * len(texts)
    with kernels_of(level):
        assert compiles(model[0].model) == (level != "none" and name != "roberta")
        forbid_stock(monkeypatch)
        assert_same(accelerate(model, threads=2).encode(texts), expected)


@pytest.fixture(scope="module")
def passages():
    """Some 200 real passages, 2,000 with REPRO_LONG, and what the stock model makes of them."""
    documents = open_collection(str(real_collection("msmarco-mini")), "dl19").documents()
    every = 20 if os.environ.get("REPRO_LONG") else 200
    texts = [document.text for document in itertools.islice(documents, 0, 40_000, every)]
    assert len(texts) == 40_000 / every
    return texts, SparseEncoder(str(resolve(find_system("splade-tiny")).path), device="cpu").encode(
        texts, batch_size=4
    )


def test_the_same_vectors_of_real_passages(passages, monkeypatch):
    texts, expected = passages
    model = accelerate(SparseEncoder(str(resolve(find_system("splade-tiny")).path), device="cpu"))
    forbid_stock(monkeypatch)
    found = model.encode(texts)
    assert expected._nnz() > 100 * len(texts)
    difference = (found - expected).coalesce().values().abs()
    assert difference.max() <= 1e-5
    assert (difference > 0).sum() > 0  # as sums in another order have: not the same computation twice


CALLS = {
    "a text": ("encode", "the tide", {}),
    "a list of one": ("encode", ["the tide"], {}),
    "nothing": ("encode", [], {}),
    "nothing, dense": ("encode", [], {"convert_to_sparse_tensor": False}),
    "nothing, as a list": ("encode", [], {"convert_to_tensor": False}),
    "a tuple": ("encode", ("the tide", "bread"), {}),
    "an array": ("encode", np.array(["the tide", "bread"]), {}),
    "dense": ("encode", None, {"convert_to_sparse_tensor": False}),
    "as a list": ("encode", None, {"convert_to_tensor": False}),
    "as a list, dense": ("encode", None, {"convert_to_tensor": False, "convert_to_sparse_tensor": False}),
    "few dimensions": ("encode", None, {"max_active_dims": 7}),
    "few dimensions, dense": ("encode", None, {"max_active_dims": 7, "convert_to_sparse_tensor": False}),
    "more dimensions than there are": ("encode", None, {"max_active_dims": 40_000}),
    "saved to the CPU": ("encode", None, {"save_to_cpu": True, "device": "cpu"}),
    "small batches": ("encode", None, {"batch_size": 3}),
    "a prompt": ("encode", None, {"prompt": "tell me: "}),
    "a prompt's name": ("encode", None, {"prompt_name": "document"}),
    "a query": ("encode_query", "the tide", {}),
    "queries": ("encode_query", None, {"max_active_dims": 20}),
    "documents": ("encode_document", None, {"show_progress_bar": True}),
    "short texts": ("encode", None, {"processing_kwargs": {"text": {"max_length": 9}}}),
    "pairs of texts": ("encode", [("the tide", "bread"), ("moon", "sea and sand")], {}),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_way_to_call_it(pair, call):
    method, texts, options = CALLS[call]
    texts = sample_texts(9) if texts is None else texts
    stock, ours = (getattr(model, method)(texts, **options) for model in pair)
    assert_same(ours, stock)


def test_a_models_own_number_of_dimensions_and_prompt(folders):
    settings = {"max_active_dims": 5, "default_prompt_name": "query"}
    stock = load(folders["splade-tiny"], **settings)
    expected = stock.encode(sample_texts(5))
    assert 5 < expected._nnz() <= 7 * 5
    assert_same(accelerate(stock).encode(sample_texts(5)), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"max_active_dims": 0},
        {"prompt_name": "nothing"},
        {"unknown": 1},
        {"chunk_size": 0, "device": ["cpu"]},
    ],
    ids=str,
)
def test_the_same_errors(pair, options):
    messages = []
    for model in pair:
        with pytest.raises(ValueError, match=r".") as raised:
            model.encode(["tide"], **options)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_without_gradients_the_forward_pass_is_the_same_too(pair):
    with torch.no_grad():
        stock, ours = (
            model.eval()(model.preprocess(sample_texts(9)))["sentence_embedding"] for model in pair
        )
    assert_same(ours, stock)
    assert pair[1][1].get_embedding_dimension() == stock.shape[1]


def step_fused(model):
    """A step of a fused optimiser, which torch does not count as a change."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    optimiser.zero_grad()


def train_one_row(model):
    """A step that changes a single row, without torch's count."""
    model.train()(model.preprocess(["the tide"]))["sentence_embedding"].sum().backward()
    model.zero_grad()
    model[0].model.bert.embeddings.word_embeddings.weight.data[1996] *= 3  # "the"


def load_other_weights(model):
    state = {name: tensor * 0.9 for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)


def add_adapter(model):
    """What PEFT does: a linear module becomes another one."""

    class Adapted(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base

        @property
        def weight(self):
            return self.base.weight

        @property
        def bias(self):
            return self.base.bias

        def forward(self, x):
            return self.base(x) * 1.2

    layer = model[0].model.bert.encoder.layer[0]
    layer.output.dense = Adapted(layer.output.dense)


def hook_a_module(model):
    model[0].model.bert.encoder.layer[0].register_forward_hook(lambda module, inputs, output: output * 1.1)


def hook_the_pooling(model):
    model[1].register_forward_hook(
        lambda module, inputs, output: {**output, "sentence_embedding": output["sentence_embedding"] * 2}
    )


def grow_the_vocabulary(model):
    model[0].model.resize_token_embeddings(30_600, mean_resizing=False)


def pool_sums(model):
    model[1].pooling_strategy = "sum"


def pad_on_the_left(model):
    model.tokenizer.padding_side = "left"


def halve(model):
    model.bfloat16()


@pytest.mark.parametrize(
    "change",
    [
        step_fused,
        train_one_row,
        load_other_weights,
        add_adapter,
        hook_a_module,
        hook_the_pooling,
        grow_the_vocabulary,
        pool_sums,
        pad_on_the_left,
        halve,
    ],
)
def test_what_changes_in_the_model_is_followed(folders, change):
    model, texts = accelerate(load(folders["splade-tiny"])), [*sample_texts(4), "the tide"]
    before = model.encode(texts)
    change(model)
    found = model.encode(texts)
    expected = restore(model).encode(texts)
    tolerance = 1e-5 * max(1, expected.to_dense().max().item())
    assert_same(found, expected, tolerance)
    if change is not grow_the_vocabulary and change is not pad_on_the_left:
        assert (found.to_dense().float() - before.to_dense()).abs().max() > 1e-2


def test_under_autocast_it_computes_as_the_stock_model_does(pair):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stock, ours = (model.encode(sample_texts(4)) for model in pair)
    assert torch.equal(ours.to_dense(), stock.to_dense())


def test_the_masked_language_model_keeps_its_logits(pair):
    ids = torch.tensor([[101, 1996, 10401, 102]])
    with torch.no_grad():
        stock, ours = (model[0].model(input_ids=ids).logits for model in pair)
        tokens = [model[0](model.preprocess(["tide"]))["token_embeddings"] for model in pair]
    assert torch.equal(ours, stock)
    assert torch.equal(*tokens)


def test_restored_it_is_the_stock_model_again(folders):
    model = load(folders["splade-tiny"])
    texts, before = sample_texts(6), {module: set(vars(module)) for module in model.modules()}
    expected = model.encode(texts)
    assert restore(restore(accelerate(accelerate(model)))) is model
    assert {module: set(vars(module)) for module in model.modules()} == before
    assert torch.equal(model.encode(texts).to_dense(), expected.to_dense())


def test_copies_and_pickles_are_accelerated_models_of_their_own(folders, monkeypatch):
    model, texts = accelerate(load(folders["splade-tiny"]), threads=1), sample_texts(6)
    expected = model.encode(texts).to_dense()
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    forbid_stock(monkeypatch)
    load_other_weights(model)
    for one in copies:
        assert torch.equal(one.encode(texts).to_dense(), expected)
    assert not torch.equal(model.encode(texts).to_dense(), expected)


def test_it_encodes_in_a_pool_of_processes(folders):
    model, texts = accelerate(load(folders["splade-tiny"]), threads=1), sample_texts(6)
    assert_same(model.encode(texts, device=["cpu"], chunk_size=5), restore(model).encode(texts))


def test_several_threads_may_encode(pair):
    stock, ours = pair
    texts = [[f"the tide {number}", "bread " * number] for number in range(1, 9)]
    expected = [stock.encode(pair) for pair in texts]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(ours.encode, texts), expected):
            assert_same(one, other)


def test_accelerate_of_hugging_face_may_wrap_it(folders):
    """As transformers' trainer does for bfloat16: it binds an instance's forward to the model."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # a training in this process has set another
    stock, ours = load(folders["splade-tiny"]), accelerate(load(folders["splade-tiny"]))
    results = []
    for model in (stock, ours):
        wrapped = Accelerator(mixed_precision="bf16", cpu=True).prepare_model(model).eval()
        results.append(wrapped(wrapped.preprocess(["the tide"]))["sentence_embedding"])
    AcceleratorState._reset_state(reset_partial_state=True)
    assert results[1].requires_grad
    assert results[0].dtype == results[1].dtype
    assert (results[1] - results[0]).abs().max() < 0.05 * results[0].max()
    assert_same(ours.eval().encode(["the tide"]), restore(ours).encode(["the tide"]))


class Doubled(BertForMaskedLM):
    """Its logits are not its output layer's."""

    def forward(self, *arguments, **options):
        output = super().forward(*arguments, **options)
        output.logits = output.logits * 2
        return output


def double_logits(model):
    model[0].model.__class__ = Doubled


REFUSED = {
    "expected the modules Transformer and SpladePooling, found Transformer": lambda model: SparseEncoder(
        modules=[model[0]], device="cpu"
    ),
    "max and relu is computed here, found sum and relu": pool_sums,
    "found max and log1p_relu": lambda model: setattr(model[1], "activation_function", "log1p_relu"),
    "SpladePooling has a forward of its own, or hooks": hook_the_pooling,
    "the output layer has a forward of its own, or hooks": lambda model: (
        model[0].model.get_output_embeddings().register_forward_pre_hook(lambda *_: None) and None
    ),
    "the logits of Doubled are not those of its output layer": double_logits,
    "found feature-extraction and torch": lambda model: setattr(
        model[0], "transformer_task", "feature-extraction"
    ),
    "found fill-mask and onnx": lambda model: setattr(model[0], "backend", "onnx"),
    "found NoneType": lambda model: setattr(model[0].model, "get_output_embeddings", lambda: None),
    "found a Sequential": lambda model: torch.nn.Sequential(*model),
}


@pytest.mark.parametrize("message", REFUSED)
def test_other_models_are_refused_with_the_reason(folders, message):
    model = load(folders["splade-tiny"])
    model = REFUSED[message](model) or model
    with pytest.raises(ValueError, match=message):
        accelerate(model)
