"""Folders of SPLADE models that are odd or damaged: what is refused, in which words, and what works."""

import json
import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import kernels_of
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from repro.base.errors import InputError
from repro.compiled import native
from repro.splade.encoder import SpladeEncoder
from repro.splade.loading import load_masked_lm
from repro.splade.onnx import INPUTS, export, largest_difference

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tide", "moon", "sea", "bread"]


def write_model(folder: Path, words=WORDS, size=len(WORDS), special=True) -> Path:
    """Write a BERT of random weights with ``size`` rows in its output layer, and a tokenizer of ``words``.

    Without ``special``, the tokenizer adds no [CLS] and [SEP], and none of its tokens is a special one.
    """
    backend = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = Whitespace()
    roles = {}
    if special:
        ends = [(name, words.index(name)) for name in ("[CLS]", "[SEP]")]
        backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
        roles = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **roles).save_pretrained(folder)
    shape = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": 64}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        model = BertForMaskedLM(BertConfig(vocab_size=size, max_position_embeddings=32, **shape))
        model.cls.predictions.bias.fill_(3)  # all terms are active
    model.save_pretrained(folder)
    return folder


def change(folder: Path, name: str, **values) -> None:
    """Change entries of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def padded(tmp_path):
    """A model whose output layer has rows without a token, at the end, as is common, and between."""
    folder = write_model(tmp_path / "padded", [*WORDS[:5], "[hole]", *WORDS[5:]], size=64)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    del tokenizer["model"]["vocab"]["[hole]"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


@pytest.mark.parametrize("precision", ["exact", "float32", "bf16"])
@pytest.mark.parametrize("level", [*native.LEVELS, "none"])
def test_rows_without_a_token_are_no_terms(padded, level, precision):
    """All of them had the term null."""
    with kernels_of(level):
        encoder = SpladeEncoder(padded, 1, precision)
        encoded = encoder.encode(["tide and moon", "bread"])
        vectors = list(encoder.impact_vectors(encoded))
    assert [set(vector) for vector in vectors] == [set(WORDS)] * 2
    assert encoded.nnz == 2 * len(WORDS)  # what is counted as active terms
    assert set(encoded.indices.tolist()) == {0, 1, 2, 3, 4, 6, 7, 8}


def test_nor_are_they_in_an_exported_graph(padded, tmp_path):
    export(padded, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = {name: np.ones((2, 3), np.int64) for name in INPUTS} | {
        "input_ids": np.array([[2, 4, 3], [2, 8, 3]])
    }
    inputs["attention_mask"] = np.array([[1, 1, 1], [1, 1, 0]])
    active, weights, everything = session.run(None, inputs)
    assert set(active.tolist()) == {0, 1, 2, 3, 4, 6, 7, 8} and (weights > 0).all()
    assert (everything > 0).sum(axis=1).tolist() == [8, 8]
    inputs = {name: array[1:, :2] for name, array in inputs.items()}  # the second text without its padding
    np.testing.assert_allclose(session.run(None, inputs)[2][0], everything[1], rtol=1e-5)
    lines = (tmp_path / "vocab.txt").read_text().splitlines()  # Anserini takes a line's number for the id
    assert [lines[i] for i in (0, 1, 2, 3, 4, 6, 7, 8)] == WORDS and len(lines) == 9
    assert largest_difference(padded, tmp_path, ["tide moon", "sea", ""]) < 1e-5


def test_models_without_special_tokens_are_exported(tmp_path):
    folder = write_model(tmp_path / "bare", special=False)
    export(folder, tmp_path)
    assert largest_difference(folder, tmp_path, ["tide moon", ""]) < 1e-5


@pytest.mark.parametrize("level", [*native.LEVELS, "none"])
def test_a_text_without_a_token_has_an_empty_vector(tmp_path, level):
    folder = write_model(tmp_path, special=False)
    with kernels_of(level):
        encoder = SpladeEncoder(folder, 1)
        encoded = encoder.encode(["", "moon", " ", "tide sea", ""])
        assert encoded.getnnz(axis=1).tolist() == [0, len(WORDS), 0, len(WORDS), 0]
        assert list(encoder.impact_vectors(encoder.encode(["", ""]))) == [{}, {}]
        assert encoder.encode([]).shape == (0, len(WORDS))


def test_a_tokenizer_without_unk_refuses_what_it_does_not_know(tmp_path):
    words = [word for word in WORDS if word != "[UNK]"]
    encoder = SpladeEncoder(write_model(tmp_path, words, special=False), 1)
    assert encoder.encode(["moon tide"]).nnz
    with pytest.raises(
        InputError, match=r"the tokenizer cannot take a text \(WordLevel error: Missing \[UNK\]"
    ):
        encoder.encode(["moon", "quark"])


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    encoder = SpladeEncoder(write_model(tmp_path, size=6), 1)
    assert encoder.encode(["tide moon"]).nnz
    with pytest.raises(InputError, match="gives id 7, but the model has 6 embeddings"):
        encoder.encode(["tide", "bread"])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    """transformers would make one up that knows no word."""
    folder = write_model(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"has no tokenizer: expected tokenizer\.json"):
        load_masked_lm(folder)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, number):
    file = write_model(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    tensors["bert.encoder.layer.0.output.dense.weight"][3, 4] = number
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"encoder\.layer\.0\.output\.dense\.weight has numbers that are not finite"
    ):
        load_masked_lm(tmp_path)


@pytest.mark.parametrize("value", ["nosuch", "t5", 7])
def test_models_of_another_kind_are_refused(tmp_path, value):
    change(write_model(tmp_path), "config.json", model_type=value)
    with pytest.raises(InputError, match=r"does not load as a masked language model|lacks weights"):
        load_masked_lm(tmp_path)


class Anything:
    """Something that a pickle of weights must not hold."""


@pytest.mark.parametrize("content", ["an object", "a list", "text", "nothing", "a date", "cut short"])
def test_pickles_that_are_no_weights_are_refused(tmp_path, content):
    (write_model(tmp_path) / "model.safetensors").unlink()
    file = tmp_path / "pytorch_model.bin"
    if content in ("an object", "a list", "a date"):
        torch.save(
            {"an object": Anything(), "a list": [1, 2], "a date": {"x": np.datetime64("2020")}}[content], file
        )
    elif content == "cut short":
        torch.save({"x": torch.ones(1000)}, file)
        file.write_bytes(file.read_bytes()[:900])
    else:
        file.write_bytes(pickle.dumps("weights") if content == "text" else b"")
    with pytest.raises(InputError, match=r"does not load as a masked language model|lacks weights"):
        load_masked_lm(tmp_path)


def test_code_of_a_models_own_is_not_run(tmp_path, monkeypatch):
    folder = write_model(tmp_path / "model")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    change(
        folder,
        "config.json",
        model_type="own",
        auto_map={"AutoConfig": "own.Own", "AutoModelForMaskedLM": "own.Own"},
    )
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(InputError, match="does not load"):
        load_masked_lm(folder)
    assert not (tmp_path / "ran").exists()
