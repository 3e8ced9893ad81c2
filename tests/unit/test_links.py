"""Links to a model, with its weights in both formats: the same tensors, the same checksum."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from repro.models.folder import checksum
from repro.models.links import BINARY, link, write_binary

WEIGHTS = {"first.weight": torch.arange(6.0).reshape(2, 3), "second.bias": torch.ones(2, dtype=torch.float16)}


@pytest.fixture
def model(tmp_path):
    """A model folder with a module in a subfolder, and files that nothing reads."""
    source = tmp_path / "source"
    (source / "1_Pooling").mkdir(parents=True)
    for name in ("config.json", "1_Pooling/config.json", "tokenizer.json", "README.md"):
        (source / name).write_text("{}")
    save_file(WEIGHTS, source / "model.safetensors")
    return source


def linked(source, binary=True):
    folder = source.with_name("links")
    folder.mkdir()
    link(source, folder, binary)
    return folder


def assert_same_weights(folder):
    found = torch.load(folder / BINARY, weights_only=True)
    assert found.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        assert found[name].dtype == weight.dtype and torch.equal(found[name], weight)


def test_links_have_the_weights_in_both_formats_and_the_same_checksum(model):
    folder = linked(model)
    assert_same_weights(folder)
    assert not (folder / BINARY).is_symlink() and not (model / BINARY).exists()
    assert (folder / "1_Pooling/config.json").readlink() == (model / "1_Pooling/config.json").resolve()
    assert not (folder / "README.md").exists()
    assert load_file(folder / "model.safetensors").keys() == WEIGHTS.keys()
    assert checksum(folder) == checksum(model)


def test_weights_in_several_files_become_one(model):
    whole = checksum(model)
    (model / "model.safetensors").unlink()
    files = {name: f"model-0000{i + 1}-of-00002.safetensors" for i, name in enumerate(WEIGHTS)}
    for name, file in files.items():
        save_file({name: WEIGHTS[name]}, model / file)
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    folder = linked(model)
    assert_same_weights(folder)
    assert checksum(folder) == checksum(model) != whole


def test_a_file_of_pytorch_is_linked_if_it_holds_the_same(model):
    before = checksum(model)
    write_binary(model, model)
    assert checksum(model) == before
    folder = linked(model)
    assert (folder / BINARY).is_symlink()
    assert_same_weights(folder)


@pytest.mark.parametrize(
    "contents", [{**WEIGHTS, "second.bias": torch.zeros(2)}, WEIGHTS["second.bias"], None]
)
def test_a_file_of_pytorch_that_holds_something_else_is_not(model, contents):
    torch.save(contents, model / BINARY)
    if contents is None:
        (model / BINARY).write_bytes(b"cut short")
    folder = linked(model)
    assert not (folder / BINARY).is_symlink()
    assert_same_weights(folder)


def test_weights_that_are_in_pytorchs_format_only_are_linked(model):
    (model / "model.safetensors").unlink()
    torch.save(WEIGHTS, model / BINARY)
    folder = linked(model)
    assert (folder / BINARY).is_symlink()
    assert checksum(folder) == checksum(model)


def test_a_dense_models_weights_stay_in_one_format(model):
    assert not (linked(model, binary=False) / BINARY).exists()
