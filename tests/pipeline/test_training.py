"""Training from the command line: the sample's recipe, interruption, two processes, the model's use."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import (
    DOCUMENTS,
    QUERIES,
    REPOSITORY,
    kill_when,
    refused,
    run_here,
    succeed,
    write_beir,
    write_part_of_sample,
)
from safetensors.torch import load_file
from sentence_transformers import SparseEncoder

from repro.base.locks import locked
from repro.formats.runs import read_run
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.term_encoder import impacts
from repro.training.inference_free import token_weights
from repro.training.recipe import read_recipe
from repro.training.rows import read_rows, split

SHORT = ["epochs=1", "evaluations=3", "held_out=20", "max_length=48", "learning_rate=1.0e-4"]
STILL = ["base=still", "held_out=0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with the sample's distillation data and a base without dropout."""
    folder = tmp_path_factory.mktemp("training")
    teacher = ["--split", "train", "--teacher", "dense:all-minilm-l6-v2", "--limit", "80"]
    succeed("repro.distill", *teacher, "--output", "data", cwd=folder, by=run_here)
    shutil.copytree(resolve(find_system("splade-tiny")).path, folder / "still")
    config = json.loads((folder / "still/config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "still/config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """The folder of a model after an undisturbed training, with dropout and held-out rows."""
    succeed("repro.train", *options("whole"), cwd=folder, by=run_here)
    return folder / "whole"


@pytest.fixture(scope="module")
def one(folder):
    """The folder of a model after a training without dropout that logs every step."""
    succeed("repro.train", *options("one", *STILL), "--log-every", "1", cwd=folder, by=run_here)
    return folder / "one"


def options(output, *changes):
    changed = ["--set", *SHORT, "data={parquet: data}", *changes]
    return ["--recipe", "sample", *changed, "--output", output, "--threads", "2"]


def weights(folder):
    return load_file(folder / "model.safetensors")


def log(folder):
    lines = (folder / "training-log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_killed_and_resumed_is_the_uninterrupted_model(folder, whole):
    """kill -9 after the first checkpoint; dropout is on, so the random state must come back, too."""
    checkpoints = folder / "broken.checkpoints"
    kill_when(
        lambda: list(checkpoints.glob("checkpoint-*/trainer_state.json")),
        *("repro.train", *options("broken")),
        cwd=folder,
    )
    assert not (folder / "broken").exists()
    succeed("repro.train", *options("broken"), cwd=folder, by=run_here)
    expected, found = weights(whole), weights(folder / "broken")
    assert expected.keys() == found.keys()
    assert all(torch.allclose(expected[name], found[name], rtol=0, atol=1e-6) for name in expected)
    assert not checkpoints.exists()
    base = load_file(resolve(find_system("splade-tiny")).path / "model.safetensors")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.allclose(expected[name], base[name], rtol=0, atol=1e-5)


def losses(folder):
    return [line for line in log(folder) if "base_loss" in line]


def test_two_processes_follow_the_curve_of_one(folder, one):
    """The batch is spread over them, and the FLOPS term is the whole batch's; dropout is off."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "repro.train"]
    arguments = options("two", *STILL)
    succeed(*launcher, *arguments, "--log-every", "1", cwd=folder, OMP_NUM_THREADS="1")
    assert len(losses(one)) == len(losses(folder / "two")) >= 5
    for a, b in zip(losses(one), losses(folder / "two")):
        for part in ("loss", "base_loss", "document_regularizer_loss", "query_regularizer_loss"):
            assert b[part] == pytest.approx(a[part], rel=5e-3, abs=1e-3), (a, b)
    first, second = weights(one), weights(folder / "two")
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_stock_modules_follow_the_same_curve(folder, one):
    stock = [*options("stock", *STILL), "--log-every", "1", "--stock"]
    succeed("repro.train", *stock, cwd=folder, by=run_here)
    assert json.loads((folder / "stock.manifest.json").read_text())["inputs"]["stock"] is True
    assert len(losses(folder / "stock")) == len(losses(one))
    for a, b in zip(losses(one), losses(folder / "stock")):
        assert b["loss"] == pytest.approx(a["loss"], rel=5e-3, abs=1e-3), (a, b)


def test_static_queries_are_learned_and_their_row_is_what_the_library_finds(folder):
    """Queries and passages by SparseEncoder, quantised, have the scores of the run, to the last."""
    changes = [*SHORT, "epochs=0.5", "evaluations=1", "data={parquet: data}"]
    succeed(
        "repro.train",
        "--recipe",
        "sample-doc",
        "--set",
        *changes,
        "--output",
        "static",
        cwd=folder,
        by=run_here,
    )
    model = SparseEncoder(str(folder / "static"), device="cpu")
    recipe = read_recipe("sample-doc", dict(change.split("=", 1) for change in changes))
    rows, _ = split(read_rows(recipe, folder / "data"), recipe.held_out)
    static = model[0].sub_modules["query"][0]
    learned = np.flatnonzero(static.weight.detach().numpy() != token_weights(static.tokenizer, rows))
    asked = static.tokenizer(list(rows["query"]), add_special_tokens=False)["input_ids"]
    assert len(learned) and set(learned.tolist()) <= set().union(*asked)
    assert "splade-doc:static" in (folder / "static/README.md").read_text()

    write_beir(folder / "tiny")
    of = ("--collection", "tiny", "--system", "splade-doc:static")
    succeed("repro.encode", *of, cwd=folder, by=run_here)
    succeed("repro.index", *of, cwd=folder, by=run_here)
    succeed("repro.encode", *of, "--only", "queries", cwd=folder, by=run_here)
    found = read_run(folder / succeed("repro.search", *of, cwd=folder, by=run_here).strip())
    documents = [f"{title} {text}".strip() for _, title, text in DOCUMENTS]
    sides = model.encode_query([text for _, text in QUERIES]), model.encode_document(documents)
    queries, passages = (impacts(vectors.to_dense().numpy()) for vectors in sides)
    for (query, _), scores in zip(QUERIES, (queries @ passages.T).tolist()):
        expected = {docid: score for (docid, *_), score in zip(DOCUMENTS, scores) if score}
        assert {docid: math.ceil(score) for docid, score in found[query].items()} == expected


def test_a_masked_language_model_learns_and_is_a_base(folder):
    """Killed, a training leaves nothing half made; finished, it is not replaced by other settings."""
    command = ["repro.train", "--mlm", "sample", "--output", "masked", "--threads", "2", "--minutes"]
    kill_when(lambda: list(folder.glob("masked.partial-*/")), *command, "5", cwd=folder)
    assert not (folder / "masked").exists() and not (folder / "masked.manifest.json").exists()
    succeed(*command, "0.3", cwd=folder, by=run_here)
    assert not list(folder.glob("masked.partial-*"))
    manifest = json.loads((folder / "masked.manifest.json").read_text())
    assert manifest["steps"] > 3 and manifest["loss"] < manifest["first_loss"] - 0.1
    error = refused(*command, "0.5", cwd=folder, by=run_here)
    assert "masked was made by repro.train --mlm with other settings (minutes)" in error
    assert json.loads((folder / "masked.manifest.json").read_text()) == manifest
    changes = options("from-masked", "base=masked", "held_out=0", "epochs=0.5")
    succeed("repro.train", *changes, cwd=folder, by=run_here)
    assert weights(folder / "from-masked")
    made = json.loads((folder / "from-masked.manifest.json").read_text())
    assert made["weights"]["source"] == "local folder masked"


def test_sparsity_is_measured_over_weights(folder):
    changes = [*SHORT, "epochs=3", "data={parquet: data}"]
    write_part_of_sample(folder / "part", 400)
    command = ["repro.bench", "sparsity", "--collection", "part", "--weights", "0.001,20", "--threads", "2"]
    recipe = ["--recipe", "sample", *changes]
    printed = succeed(*command, *recipe, "--json", "sparsity.json", cwd=folder, by=run_here)
    start, little, much = json.loads((folder / "sparsity.json").read_text())["models"]
    assert start["weight"] is None and [little["weight"], much["weight"]] == [0.001, 20.0]
    assert much["document_terms"] < 0.9 * little["document_terms"]
    assert 0 < much["query_terms"] < little["query_terms"]
    assert all(0 < model["measured"]["RR@10, held out"] <= 1 for model in (start, little, much))
    assert 0 < much["measured"]["RR@10, test"] < 1
    assert f"{much['measured']['RR@10, test']:.4f}" in printed and "xychart-beta" in printed
    model = folder / "work/trained/sample-sparsity-0.001/model.safetensors"
    before = model.read_bytes()
    other = run_here(*command, *recipe, "epochs=4", cwd=folder)
    assert other.returncode == 2 and "with other settings (recipe.epochs)" in other.stderr
    assert model.read_bytes() == before


def test_training_steps_are_raced(folder):
    race = ["repro.bench", "train", "--data", "data", "--threads", "2"]
    options = ["--shape", "tiny", "--batch", "4", "--rounds", "1", "--json", "race.json"]
    printed = succeed(*race, *options, cwd=folder, by=run_here)
    found = json.loads((folder / "race.json").read_text())
    assert found["ours"]["rate"] > 0 and found["fastest_peer"] == "SparseEncoder with SpladePooling"
    assert f"**{found['ratio']} x**" in printed
    assert "80 rows are fewer than one batch of 100" in refused(
        *race, "--batch", "100", cwd=folder, by=run_here
    )


def test_of_two_trainings_at_once_the_second_waits_and_finds_the_model(folder):
    command = [sys.executable, "-m", "repro.train", *options("both", *STILL, "epochs=0.5")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    both = [
        subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert [output.strip() for output, _ in outputs] == ["both", "both"]
    assert sum("80 rows, 0 held out" in errors for _, errors in outputs) == 1  # one has trained
    assert weights(folder / "both") and not (folder / "both.checkpoints").exists()


def test_no_wait_refuses_a_model_that_another_process_trains(folder):
    with locked(folder / "held.lock"):
        error = refused("repro.train", *options("held"), "--no-wait", cwd=folder, by=run_here)
    assert "held is in use by process" in error


def test_log_has_the_parts_of_the_loss_and_active_terms(whole):
    lines = [line for line in log(whole) if "base_loss" in line]
    assert lines
    for line in lines:
        assert {"step", "query_regularizer_loss", "document_regularizer_loss"} <= line.keys()
        assert 5 < line["query_active_terms"] < 50 < line["document_active_terms"] < 1000
    assert any("eval_held_out_dot_mrr@10" in line for line in log(whole))


def test_the_model_loads_everywhere(folder, whole):
    from sentence_transformers import SparseEncoder
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    path = folder / "splade-whole"
    shutil.copytree(whole, path)
    text = "why does the sea rise and fall"
    tokenizer = AutoTokenizer.from_pretrained(path)
    model, loading = AutoModelForMaskedLM.from_pretrained(path, output_loading_info=True)
    assert not loading["missing_keys"]
    with torch.inference_mode():
        logits = model.eval()(**tokenizer(text, return_tensors="pt")).logits[0]
    expected = torch.log1p(torch.relu(logits)).amax(dim=0)
    found = SparseEncoder(str(path), device="cpu").encode(text, convert_to_sparse_tensor=False)
    assert torch.allclose(found, expected, atol=1e-5)
    script = f"""if True:
        import json
        from repro.lucene.pyserini import prepare_pyserini
        prepare_pyserini()
        from pyserini.encode import SpladeQueryEncoder
        print(json.dumps(SpladeQueryEncoder({str(path)!r}, device="cpu").encode({text!r})))
    """
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    terms = {tokenizer.convert_ids_to_tokens(i): w for i, w in enumerate(expected.tolist()) if w * 51.2 > 0.6}
    assert terms.keys() <= theirs.keys()
    assert all(theirs[term] == pytest.approx(w * 51.2, abs=0.51) for term, w in terms.items())
    card = (path / "README.md").read_text()
    assert "RR@10" in card and "learning_rate" in card and "library_name: sentence-transformers" in card
    write_beir(folder / "six")
    table = ["repro.table", "--collection", "six", "--systems", "splade:splade-whole"]
    table = succeed(*table, cwd=folder, by=run_here)
    assert "| splade-whole-" in table  # and six digits of the weights' checksum


def test_models_that_lack_weights_are_refused(folder):
    """A library would make them up: a dense model has no masked-language-model head."""
    error = refused("repro.train", *options("none", "base=all-minilm-l6-v2"), cwd=folder, by=run_here)
    assert "all-minilm-l6-v2" in error
    shutil.copytree(resolve(find_system("all-minilm-l6-v2")).path, folder / "headless")
    error = refused("repro.train", *options("none", "base=headless"), cwd=folder, by=run_here)
    assert "lacks weights" in error and "headless" in error


def test_more_tokens_than_the_base_has_positions_are_refused(folder):
    error = refused("repro.train", *options("none", "max_length=513"), cwd=folder, by=run_here)
    assert "max_length: expected at most 512" in error


def test_a_folder_that_was_not_made_here_is_not_replaced(folder):
    (folder / "mine").mkdir()
    (folder / "mine/thesis.txt").write_text("irreplaceable")
    error = refused("repro.train", *options("mine"), cwd=folder, by=run_here)
    assert "--output mine: it exists" in error
    assert (folder / "mine/thesis.txt").read_text() == "irreplaceable"


def test_a_finished_model_is_not_replaced_by_one_of_other_settings(folder, one):
    before = (one / "model.safetensors").read_bytes()
    error = refused("repro.train", *options("one", *STILL, "seed=7", "epochs=2"), cwd=folder, by=run_here)
    assert "one was made by repro.train with other settings (recipe.epochs, recipe.seed)" in error
    assert (one / "model.safetensors").read_bytes() == before


def test_a_model_is_no_base_for_itself(folder, one):
    error = refused("repro.train", *options("one", "base=one"), "--force", cwd=folder, by=run_here)
    assert "base: one is where the model goes" in error and (one / "model.safetensors").is_file()


def test_checkpoints_that_a_process_was_killed_over_are_removed(folder, one):
    """It had put the model in its place, and not removed the checkpoints that led to it."""
    left = folder / "one.checkpoints"
    (left / "checkpoint-5").mkdir(parents=True)
    inputs = json.loads((folder / "one.manifest.json").read_text())["inputs"]
    (left / "inputs.json").write_text(json.dumps(inputs))
    succeed("repro.train", *options("one", *STILL), cwd=folder, by=run_here)
    assert not left.exists() and (one / "model.safetensors").is_file()
