"""Which of the models that recipes have trained a collection's table shows."""

import json
import os
from pathlib import Path

import pytest
from conftest import write_beir

from repro.cli.options import CollectionOptions
from repro.models.trained import trained_on


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with two collections, and a work folder in it."""
    for name in ("tiny", "other"):
        write_beir(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_model(name: str, data: object) -> str:
    """Leave a trained model in ./work; return how ``trained_on`` names it."""
    model = Path("work/trained") / name
    model.mkdir(parents=True)
    manifest = {"inputs": {"stage": "train", "recipe": {"data": data}}}
    model.with_name(f"{name}.manifest.json").write_text(json.dumps(manifest))
    return f"splade:{model}"


def shown(collection: str, split: str | None = None) -> list[str]:
    return trained_on(CollectionOptions(collection, split), Path("work"))


def test_a_model_is_shown_on_its_collection_and_on_no_other(folder):
    mine = add_model("splade-mine", {"collection": "tiny", "split": "train"})
    assert shown("tiny") == [mine]
    assert shown("other") == shown("sample") == shown("beir/nfcorpus/test") == []


def test_a_model_is_not_shown_on_the_split_that_it_was_trained_on(folder):
    trained_on_test = add_model("splade-a", {"collection": "tiny", "split": "test"})
    by_default = add_model("splade-b", {"collection": "tiny", "split": None})
    trained_on_train = add_model("splade-c", {"collection": "tiny", "split": "train"})
    assert shown("tiny") == shown("tiny", "test") == [trained_on_train]
    assert shown("tiny", "train") == [trained_on_test, by_default]


def test_one_place_is_one_collection_however_it_is_written(folder, monkeypatch):
    os.symlink("tiny", "link")
    mine = add_model("splade-mine", {"collection": "./tiny", "split": "train"})
    for written in ("tiny", "tiny/", "./other/../tiny", str(folder / "tiny"), "link"):
        assert shown(written) == [mine], written
    monkeypatch.chdir("tiny")
    work = Path("../work")
    assert trained_on(CollectionOptions("."), work) == []  # here, ./tiny is no place at all
    assert trained_on(CollectionOptions("../other"), work) == []


def test_the_current_folder_is_not_every_collection(folder, monkeypatch):
    add_model("splade-mine", {"collection": "sample", "split": "train"})
    add_model("splade-other", {"collection": str(folder / "other"), "split": "train"})
    here = add_model("splade-here", {"collection": str(folder / "tiny"), "split": "train"})
    monkeypatch.chdir("tiny")
    assert trained_on(CollectionOptions("."), Path("../work")) == [here.replace("work", "../work")]


@pytest.mark.parametrize("data", [{"parquet": "rows"}, {"hub": "a/b"}, {"collection": 3}, [], None, "tiny"])
def test_models_of_other_data_and_damaged_manifests_are_passed_over(folder, data):
    add_model("splade-mine", data)
    assert shown("tiny") == []


def test_manifests_of_other_things_are_passed_over(folder):
    trained = Path("work/trained")
    trained.mkdir(parents=True)
    for name, text in {"a": "[]", "b": '{"inputs": [1]}', "c": '{"inputs": {"recipe": 1}}', "d": "{"}.items():
        (trained / name).mkdir()
        (trained / f"{name}.manifest.json").write_text(text)
    gone = {"inputs": {"recipe": {"data": {"collection": "tiny", "split": "train"}}}}
    (trained / "removed.manifest.json").write_text(json.dumps(gone))
    assert shown("tiny") == []
