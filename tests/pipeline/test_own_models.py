"""Models that a user names: each has artifacts and figures of its own, or a sentence tells why not."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, refused, run_here, succeed, write_beir
from safetensors.torch import load_file, save_file

from repro.base.errors import InputError
from repro.base.files import read_json
from repro.models.systems import find_system
from repro.models.weights import resolve

ONE, TWO = "1" * 40, "2" * 40
"""Commits."""
NOT_COMPARED = (
    "queries_per_second",
    "queries_per_second_with_encoding",
    "documents_per_second",
    "joules_per_document",
    "joules_per_query",
    "unknown",
    "index_bytes",
    "weights",
    "manifests",
    "spec",
)
"""What differs from time to time (an index holds the command that made it), how the model was named, and what
tells of both.
"""


def copy_of(system: str, folder: Path) -> Path:
    """Copy the model of a system of the table."""
    return Path(shutil.copytree(resolve(find_system(system)).path, folder))


def other_tiny(folder: Path) -> Path:
    """Make a splade-tiny that gives texts fewer terms."""
    copy_of("splade-tiny", folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["cls.predictions.bias"] -= 1.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def rows(folder: Path, systems: str, **environment: str) -> list[dict]:
    """Make the table of ./tiny in ``folder`` and return its rows."""
    command = ("repro.table", "--collection", "tiny", "--systems", systems)
    succeed(*command, cwd=folder, by=run_here, **environment)
    return json.loads((folder / "tables" / "tiny-test.json").read_text())["rows"]


def without(row: dict, names: tuple[str, ...]) -> dict:
    return {name: value for name, value in row.items() if name not in names}


def test_checkpoints_of_one_base_name_have_rows_of_their_own(tmp_path):
    write_beir(tmp_path / "tiny")
    copy_of("splade-tiny", tmp_path / "exp1" / "final")
    other_tiny(tmp_path / "exp2" / "final")
    both = rows(tmp_path, "splade:exp1/final,splade:exp2/final")
    assert len({row["system"] for row in both}) == 2
    assert both[0]["document_terms"] > both[1]["document_terms"]
    assert both[0]["run_sha256"] != both[1]["run_sha256"]
    alone = tmp_path / "alone"
    write_beir(alone / "tiny")
    (first,) = rows(alone, "splade:../exp1/final")  # as if the other had never been there
    assert without(first, NOT_COMPARED) == without(both[0], NOT_COMPARED)
    again = succeed(
        *(
            "repro.table",
            "--collection",
            "tiny",
            "--dry-run",
            "--systems",
            "splade:exp2/final,splade:exp1/final",
        ),
        cwd=tmp_path,
        by=run_here,
    )
    assert again == ""  # both are current


def test_two_models_that_would_share_a_name_are_refused_together(tmp_path):
    write_beir(tmp_path / "tiny")
    trained = tmp_path / "work" / "trained"
    copy_of("splade-tiny", trained / "my model")
    other_tiny(trained / "my-model")
    systems = "splade:work/trained/my model,splade:work/trained/my-model"
    message = refused("repro.table", "--collection", "tiny", "--systems", systems, cwd=tmp_path, by=run_here)
    assert "would both be called splade.my-model" in message
    assert not (tmp_path / "work" / "encoded").exists()


def test_a_changed_tokenizer_makes_a_model_encode_again(tmp_path):
    write_beir(tmp_path / "tiny")
    model = copy_of("splade-tiny", tmp_path / "work" / "trained" / "splade-mine")
    (before,) = rows(tmp_path, f"splade:{model}")
    assert before["system"] == "splade-mine"
    command = ["repro.table", "--collection", "tiny", "--systems", f"splade:{model}", "--dry-run"]
    (model / "README.md").write_text("a model")
    assert succeed(*command, cwd=tmp_path, by=run_here) == ""
    change_json(model / "tokenizer_config.json", do_lower_case=False)
    stages = [line.split()[2] for line in succeed(*command, cwd=tmp_path, by=run_here).splitlines()]
    assert stages == ["repro.encode", "repro.index", "repro.search"]
    (after,) = rows(tmp_path, f"splade:{model}")
    assert after["weights"]["sha256"] != before["weights"]["sha256"]
    assert after["document_terms"] != before["document_terms"]  # capitals make other terms


def test_two_revisions_of_a_hub_model_have_figures_of_their_own(tmp_path):
    repository = tmp_path / "hub" / "models--me--splade-x"
    copy_of("splade-tiny", repository / "snapshots" / ONE)
    other_tiny(repository / "snapshots" / TWO)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(TWO)
    (repository / "refs" / "v1").write_text(ONE)
    write_beir(tmp_path / "tiny")
    hub = {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    first, second = rows(tmp_path, "splade:me/splade-x@v1,splade:me/splade-x", **hub)
    assert (first["system"], second["system"]) == ("splade.me--splade-x-v1", "splade.me--splade-x")
    assert first["document_terms"] > second["document_terms"]
    for row, commit in ((first, ONE), (second, TWO)):
        assert row["weights"]["revision"] == commit
        name = row["system"]
        for manifest in (
            f"work/encoded/tiny/{name}.manifest.json",
            f"work/encoded/tiny/{name}.tiny-test.queries.manifest.json",
            f"runs/run.tiny-test.{name}.trec.manifest.json",
        ):
            assert read_json(tmp_path / manifest)["weights"]["revision"] == commit
    common = ("repro.encode", "--collection", "tiny", "--system")
    assert "(revision v9)" in refused(*common, "splade:me/splade-x@v9", cwd=tmp_path, by=run_here, **hub)
    assert "no Hub name" in refused(*common, "splade:me/splade x", cwd=tmp_path, by=run_here, **hub)


@pytest.mark.parametrize("kind", ["splade", "dense"])
@pytest.mark.parametrize("place", ["config.json", "modules.json"])
def test_python_that_comes_with_a_model_is_never_run(tmp_path, kind, place):
    write_beir(tmp_path / "tiny")
    model = copy_of("splade-tiny", tmp_path / "model")
    marker = tmp_path / "marker"
    (model / "modeling_x.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nclass Model: pass\nConfig = Model\n"
    )
    if place == "config.json":
        names = {"AutoConfig": "modeling_x.Config", "AutoModel": "modeling_x.Model"}
        names["AutoModelForMaskedLM"] = "modeling_x.Model"
        change_json(model / place, model_type="unheard-of", auto_map=names)
    else:
        (model / place).write_text('[{"idx": 0, "name": "0", "path": "", "type": "modeling_x.Model"}]')
    command = ["repro.encode", "--collection", "tiny", "--system", f"{kind}:{model}"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        input="y\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HOME": str(tmp_path / "cache")},
        check=False,
    )
    assert not marker.exists()
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"{place} asks for Python code of the model's own" in done.stderr


@pytest.fixture(scope="module")
def dense_models(tmp_path_factory):
    """A T5 encoder with a dense layer and prompts, and static embeddings, both random."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Pooling,
        StaticEmbedding,
        Transformer,
    )
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, T5Config, T5EncoderModel

    folder = tmp_path_factory.mktemp("dense-models")
    source = resolve(find_system("splade-tiny")).path
    tokenizer = AutoTokenizer.from_pretrained(source)
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder / "body")
    tokenizer.save_pretrained(folder / "body")
    modules = [Transformer(str(folder / "body")), Pooling(32, pooling_mode="mean"), Dense(32, 16)]
    prompts = {"query": "question: ", "document": "passage: "}
    t5 = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    t5.save_pretrained(str(folder / "t5"), create_model_card=False)
    words = Tokenizer.from_file(str(source / "tokenizer.json"))
    static = SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=24)], device="cpu")
    static.save_pretrained(str(folder / "static"), create_model_card=False)
    return folder


def test_any_model_of_sentence_transformers_has_a_row(dense_models, tmp_path):
    write_beir(tmp_path / "tiny")
    t5, static = rows(tmp_path, f"dense:{dense_models / 't5'},dense:{dense_models / 'static'}")
    for row, dimensions in ((t5, 16), (static, 24)):
        assert row["status"] == "measured", row["reason"]
        assert (row["document_terms"], row["queries"]) == (dimensions, 3)


def test_a_models_own_prompts_are_given_to_its_texts(dense_models):
    from sentence_transformers import SentenceTransformer

    from repro.dense.encoder import DenseEncoder

    folder = dense_models / "t5"
    theirs = SentenceTransformer(str(folder), device="cpu")
    ours = DenseEncoder(folder, find_system(f"dense:{folder}"))
    expected = {
        prompt: theirs.encode([f"{prompt}the tide"], prompt="") for prompt in ("question: ", "passage: ")
    }
    np.testing.assert_allclose(ours.encode_queries(["the tide"]), expected["question: "], atol=1e-6)
    np.testing.assert_allclose(ours.encode_documents(["the tide"]), expected["passage: "], atol=1e-6)
    assert np.abs(expected["question: "] - expected["passage: "]).max() > 1e-3


def change_weights(folder: Path, name: str, value: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name][0, 0] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def drop_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()


def modules_of(folder: Path, kind: str) -> None:
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))


SENTENCES = {
    "not finite": (
        lambda folder: change_weights(folder, "encoder.layer.0.output.dense.weight", float("nan")),
        "encoder.layer.0.output.dense.weight are not all finite",
    ),
    "too large": (
        lambda folder: change_weights(folder, "encoder.layer.5.output.dense.weight", 3e38),
        "vectors that are not finite",
    ),
    "missing weights": (drop_weights, "lacks weights of the model: encoder.layer.1.output.dense.weight"),
    "no tokenizer": (without_tokenizer, "has no tokenizer"),
    "odd pickle": (
        lambda folder: pickled(folder, pickle.dumps(print, protocol=2)),
        "does not load as a dense encoder",
    ),
    "junk": (lambda folder: pickled(folder, b"junk" * 50), "does not load as a dense encoder"),
    "empty file": (lambda folder: pickled(folder, b""), "does not load as a dense encoder"),
    "damaged tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text('{"a": 1}'),
        "does not load as a dense encoder",
    ),
    "unknown module": (
        lambda folder: modules_of(folder, "sentence_transformers.models.Unheard"),
        "does not load as a dense encoder",
    ),
    "no module": (
        lambda folder: modules_of(folder, "sentence_transformers.SentenceTransformer"),
        "does not load as a dense encoder",
    ),
    "settings of another module": (
        lambda folder: (folder / "1_Pooling" / "config.json").write_text('{"x": 1}'),
        "does not load as a dense encoder",
    ),
    "prompts that are none": (
        lambda folder: change_json(folder / "config_sentence_transformers.json", prompts=3),
        "does not load as a dense encoder",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_dense_model_that_cannot_be_used_is_told_in_a_sentence(tmp_path, case):
    from repro.dense.encoder import DenseEncoder

    damage, message = SENTENCES[case]
    folder = copy_of("all-minilm-l6-v2", tmp_path / "model")
    damage(folder)
    with pytest.raises(InputError) as caught:
        DenseEncoder(folder, find_system(f"dense:{folder}"), threads=1).encode_queries(["the tide " * 9])
    assert message in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_folder_lacks_is_the_commands_one_sentence(tmp_path):
    write_beir(tmp_path / "tiny")
    folder = copy_of("all-minilm-l6-v2", tmp_path / "model")
    modules_of(folder, "sentence_transformers.models.Unheard")
    done = run_here("repro.encode", "--collection", "tiny", "--system", f"dense:{folder}", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {folder} does not load as a dense encoder (")
