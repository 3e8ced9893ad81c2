"""Dense vectors by the compiled layers against Sentence Transformers, in float32 and, for the true value,
float64.
"""

import copy
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from conftest import DOCUMENTS, kernels_of
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel, DistilBertConfig, DistilBertModel

from repro.base.errors import InputError
from repro.compiled import native, windows
from repro.dense.encoder import DenseEncoder
from repro.dense.unpadded import accelerate, computes
from repro.models.systems import System, find_system
from repro.models.weights import resolve

TEXTS = [
    *(text for _, _, text in DOCUMENTS),
    *("", " ", "a", "ÄÖÜ ß Ω 漢字 🙂", "the tide " * 400, "sea " * 61, "bread", "bread"),
]
"""Empty, of one token, unknown to the vocabulary, longer than any model takes, and twice the same."""


@pytest.fixture(scope="module", params=native.LEVELS)
def level(request):
    """Run the tests with the kernels of each level."""
    with kernels_of(request.param):
        yield request.param


def save(folder, d=128, heads=4, layers=2, distilled=False):
    """Save a model all of whose numbers matter, with a real tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(resolve(find_system("all-minilm-l6-v2")).path)
    if distilled:
        config = DistilBertConfig(dim=d, n_heads=heads, n_layers=layers, hidden_dim=4 * d)
    else:
        config = BertConfig(
            hidden_size=d, num_attention_heads=heads, num_hidden_layers=layers, intermediate_size=4 * d
        )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        model = (DistilBertModel if distilled else BertModel)(config)
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape)
            parameter.add_(noise * (0.3 if parameter.dim() == 1 else 1.5 / parameter.shape[1] ** 0.5))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bert") / "model")


def assembled(folder, *, pooling="mean", normalise=True, **others) -> SentenceTransformer:
    body = Transformer(str(folder))
    modules = [body, Pooling(body.get_embedding_dimension(), pooling), *[Normalize()] * normalise]
    return SentenceTransformer(modules=modules, device="cpu", **others)


def theirs(model, texts, *, double=False):
    """What the library computes by itself, of one text at a time if in float64: then nothing is padded."""
    stock = copy.deepcopy(model)
    vars(stock).pop("_inference", None)
    stock = stock.double() if double else stock
    return stock.encode(texts, batch_size=1 if double else 32, show_progress_bar=False)


def rms(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


SHAPES = {"heads of 32": {}, "heads of 64": {"heads": 2, "layers": 3}, "DistilBERT": {"distilled": True}}


@pytest.mark.parametrize("normalise", [True, False], ids=["normalised", "as they are"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_are_as_near_to_the_truth_as_the_librarys(shape, pooling, normalise, level, tmp_path):
    model = assembled(save(tmp_path, **SHAPES[shape]), pooling=pooling, normalise=normalise)
    stock, true = theirs(model, TEXTS), theirs(model, TEXTS, double=True)
    assert accelerate(model, threads=2)
    ours = model.encode(TEXTS)
    assert ours.dtype == np.float32 and ours.shape == (len(TEXTS), 128)
    assert rms(ours - true) <= 1.5 * rms(stock - true)
    np.testing.assert_allclose(ours, stock, rtol=0, atol=4e-6 * np.abs(true).max())


def test_a_trained_model_gives_the_librarys_vectors(level):
    system = find_system("all-minilm-l6-v2")
    path = resolve(system).path
    encoder, stock = DenseEncoder(path, system, threads=1), SentenceTransformer(str(path), device="cpu")
    assert encoder.compiled
    ours, expected = encoder.encode_documents(TEXTS), stock.encode(TEXTS)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)
    true = theirs(stock, TEXTS, double=True)
    assert rms(ours - true) <= 1.5 * rms(expected - true)
    np.testing.assert_array_equal(encoder.encode_queries(TEXTS), ours)


def test_a_vector_is_the_same_in_any_company_and_with_any_number_of_threads(folder, level, monkeypatch):
    """To the last bit, in windows and batches of every size: what is encoded again is equal."""
    model = assembled(folder)
    accelerate(model, threads=1)
    expected = model.encode(TEXTS)
    assert np.array_equal(expected[-1], expected[-2]) and len(np.unique(expected, axis=0)) > 8
    np.testing.assert_array_equal(model.encode(TEXTS[::-1]), expected[::-1])
    np.testing.assert_array_equal([model.encode(text) for text in TEXTS], expected)
    monkeypatch.setattr(windows, "WINDOW", 3)
    parallel = assembled(folder)
    accelerate(parallel, threads=3)
    np.testing.assert_array_equal(parallel.encode(TEXTS), expected)
    assert vars(parallel)["_inference"].args[0].workers._max_workers == 3


@pytest.mark.parametrize("longest", [5, 16, 512])
def test_long_texts_are_cut_where_the_library_cuts_them(folder, longest, level):
    model, stock = assembled(folder), assembled(folder)
    assert accelerate(model, threads=1)
    for length in (longest, 8):  # of documents, say, then of queries
        model.max_seq_length = stock.max_seq_length = length
        np.testing.assert_allclose(model.encode(TEXTS), stock.encode(TEXTS), rtol=0, atol=1e-6)


def test_a_folders_own_modules_and_prompts_decide(folder, level, tmp_path):
    prompts = {"query": "what is said of: ", "document": "passage: "}
    model = assembled(folder, pooling="cls", normalise=False, prompts=prompts)
    model.max_seq_length = 20
    model.save_pretrained(str(tmp_path), create_model_card=False)
    encoder = DenseEncoder(tmp_path, find_system(f"dense:{tmp_path}"), threads=1)
    stock = SentenceTransformer(str(tmp_path), device="cpu")
    assert encoder.compiled
    queries, documents = encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS)
    largest = np.abs(documents).max()
    np.testing.assert_allclose(queries, stock.encode_query(TEXTS), rtol=0, atol=4e-6 * largest)
    np.testing.assert_allclose(documents, stock.encode_document(TEXTS), rtol=0, atol=4e-6 * largest)
    assert np.abs(queries - documents).max() > 0.1


def test_an_entry_of_the_table_decides_on_prefix_and_length(folder, level):
    system = System(
        "x",
        "dense",
        pooling="mean",
        max_length=12,
        query_max_length=6,
        query_prefix="q: ",
        passage_prefix="p: ",
    )
    encoder, stock = DenseEncoder(folder, system, threads=1), assembled(folder)
    assert encoder.compiled
    for encode, prefix, length in ((encoder.encode_queries, "q: ", 6), (encoder.encode_documents, "p: ", 12)):
        stock.max_seq_length = length
        expected = stock.encode([prefix + text for text in TEXTS])
        np.testing.assert_allclose(encode(TEXTS), expected, rtol=0, atol=1e-6)
    assert encoder.encode_documents(["one"]).shape == (1, 128)


def hooked(model):
    model[1].register_forward_hook(lambda module, inputs, output: output)


def excluding_prompts(model):
    model.set_pooling_include_prompt(False)


def normalised_elsewhere(model):
    model[2].module_output_name = "normalised"


def lasting(model):
    model[1].pooling_mode = "lasttoken"


def halved(model):
    model.bfloat16()


CHANGES = [hooked, excluding_prompts, normalised_elsewhere, lasting, halved]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_computed_here_is_left_to_the_library(folder, change, level):
    model = assembled(folder)
    assert computes(model)
    change(model)
    assert not computes(model) and not accelerate(model)


def test_other_modules_are_left_to_the_library(folder, level):
    from sentence_transformers.sentence_transformer.modules import Dense

    model = assembled(folder, normalise=False)
    model.append(Dense(128, 16))
    assert not accelerate(model)
    both = Transformer(str(folder))
    model = SentenceTransformer(modules=[both, Pooling(128, ("mean", "cls"))], device="cpu")
    assert not accelerate(model)


def test_what_encode_is_asked_for_beside_vectors_is_the_librarys(folder, level):
    model = assembled(folder, normalise=False)
    asked = [
        {"truncate_dim": 32},
        {"normalize_embeddings": True},
        {"device": "cpu"},
        {"output_value": "token_embeddings"},
    ]
    expected = [model.encode(TEXTS[:4], **options) for options in asked]
    assert accelerate(model, threads=1)
    for options, wanted in zip(asked, expected):
        for one, other in zip(model.encode(TEXTS[:4], **options), wanted):
            np.testing.assert_array_equal(one, other)


def test_texts_padded_on_the_left_are_the_librarys(folder, level):
    model = assembled(folder)
    model.tokenizer.padding_side = "left"
    assert not accelerate(model, threads=1)


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_has_changed_since_is_the_librarys_again(folder, change, level):
    model = assembled(folder)
    assert accelerate(model, threads=1)
    change(model)
    assert not accelerate(model, threads=1) and "_inference" not in vars(model)


def test_copies_of_an_accelerated_model_compute_as_it_does(folder, level):
    model = assembled(folder)
    assert accelerate(model, threads=2)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        encoder = vars(other)["_inference"].args[0]
        assert encoder.model is other and encoder.workers._max_workers == 2
        np.testing.assert_array_equal(other.encode(TEXTS), model.encode(TEXTS))


def test_an_encoder_holds_the_weights_of_its_layers_once(folder, level):
    system = find_system(f"dense:{folder}")
    encoder = DenseEncoder(folder, system, threads=1)
    assert encoder.parameters == sum(p.numel() for p in assembled(folder).parameters())
    held = {name for name, p in encoder.model.named_parameters() if not p.is_meta}
    assert held and not any(".layer." in name for name in held)
    with pytest.raises(windows.NotPlainError):
        encoder.model.encode(["a"], output_value="token_embeddings")


def test_an_encoder_whose_tokenizer_makes_nothing_of_an_empty_text(folder, level, tmp_path):
    """Without special tokens: it has no tokens, and the library's vector, of zeros."""
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": None}))
    encoder = DenseEncoder(tmp_path / "model", find_system(f"dense:{tmp_path / 'model'}"), threads=1)
    stock = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(
        encoder.encode_documents(["", "the tide"]), stock.encode(["", "the tide"]), rtol=0, atol=4e-6
    )


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "the library's"])
def test_tokens_that_the_model_has_no_embeddings_of_are_told_in_a_sentence(compiled, tmp_path):
    folder = save(tmp_path)
    with kernels_of("avx2" if compiled else "none"):
        system = find_system(f"dense:{folder}")
        encoder = DenseEncoder(folder, system, threads=1)
        encoder.model.max_seq_length = 600  # as a folder may have it
        with pytest.raises(
            InputError, match="600 tokens, but the model has 512 positions; set max_seq_length"
        ):
            encoder.encode_documents(["the tide " * 400])
        model = BertModel.from_pretrained(folder)
        model.resize_token_embeddings(1500)
        model.save_pretrained(folder)
        encoder = DenseEncoder(folder, system, threads=1)
        assert encoder.compiled == compiled
        with pytest.raises(InputError, match=r"gives id \d+, but the model has 1500 embeddings"):
            encoder.encode_queries(["the tide"])


def test_without_kernels_the_library_computes(folder):
    with kernels_of("none"):
        assert not accelerate(assembled(folder))


def test_vectors_of_int8_layers_are_near_the_exact_ones(level):
    """Of documents and of queries, which are encoded alike; and the same whatever is beside them."""
    system = find_system("all-minilm-l6-v2")
    path = resolve(system).path
    exact, int8 = (DenseEncoder(path, system, threads=1, int8=of) for of in (False, True))
    ours, expected = int8.encode_documents(TEXTS), exact.encode_documents(TEXTS)
    cosines = (ours * expected).sum(axis=1)
    assert cosines.min() > 0.98 and 0.99 < cosines.mean() < 0.9999
    np.testing.assert_array_equal(int8.encode_queries(TEXTS), ours)
    np.testing.assert_array_equal(int8.encode_documents(TEXTS[3:5]), ours[3:5])


def test_int8_without_compiled_layers_is_refused(tmp_path, monkeypatch):
    system = find_system("all-minilm-l6-v2")
    path = resolve(system).path
    monkeypatch.setenv("REPRO_NATIVE", "0")
    with kernels_of("none"), pytest.raises(InputError) as caught:
        DenseEncoder(path, system, threads=1, int8=True)
    reason = "there are no compiled kernels here (switched off by REPRO_NATIVE=0); leave it out"
    assert str(caught.value) == f"{path}: --precision int8 is of compiled layers, and {reason}"


def test_int8_of_layers_that_are_not_compiled_is_refused(tmp_path, level):
    folder = save(tmp_path, heads=8)  # of 16 dimensions each
    assembled(folder).save_pretrained(str(tmp_path / "whole"), create_model_card=False)
    with pytest.raises(InputError, match="--precision int8 is of compiled layers, and this model has none"):
        DenseEncoder(tmp_path / "whole", find_system(f"dense:{tmp_path / 'whole'}"), threads=1, int8=True)
