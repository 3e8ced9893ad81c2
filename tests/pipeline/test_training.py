"""Training from the command line: the sample's recipe, interruption, two processes, and what the model can be used by."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY, refused, run, succeed
from safetensors.torch import load_file

from repro.models.systems import find_system
from repro.models.weights import resolve

SHORT = ["epochs=1", "evaluations=3", "held_out=20", "max_length=48", "learning_rate=1.0e-4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with the sample's distillation data and a base without dropout."""
    folder = tmp_path_factory.mktemp("training")
    said = ["--split", "train", "--teacher", "dense:all-minilm-l6-v2", "--limit", "80"]
    succeed("repro.distill", *said, "--output", "data", cwd=folder)
    shutil.copytree(resolve(find_system("splade-tiny")).path, folder / "still")
    config = json.loads((folder / "still/config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "still/config.json").write_text(json.dumps(config))
    return folder


def options(output, *changes):
    return [
        "--recipe",
        "sample",
        "--set",
        *SHORT,
        "data={parquet: data}",
        *changes,
        "--output",
        output,
        "--threads",
        "2",
    ]


def weights(folder):
    return load_file(folder / "model.safetensors")


def log(folder):
    lines = (folder / "training-log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_distilled_rows_have_the_published_columns(folder):
    rows = pd.concat(pd.read_parquet(path) for path in (folder / "data").glob("*.parquet"))
    assert list(rows.columns) == [
        "query_id",
        "query",
        "positive",
        *(f"negative_{i}" for i in range(1, 9)),
        "label",
    ]
    assert len(rows) == 80 and all(len(label) == 8 for label in rows.label)
    passages = rows[["positive", *(f"negative_{i}" for i in range(1, 9))]]
    assert all(len(set(row)) == 9 for row in passages.itertuples(index=False))
    assert np.mean(np.stack(rows.label)) > 0.2  # the teacher prefers positives
    manifest = json.loads((folder / "data.manifest.json").read_text())
    assert manifest["teacher"] == "dense:all-minilm-l6-v2" and manifest["counts"]["rows"] == 80


def test_a_cross_encoder_teaches_with_its_logits(folder):
    """One of random weights: its margins must be differences of what transformers computes."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig

    tokenizer = AutoTokenizer.from_pretrained(folder / "still")
    torch.manual_seed(5)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=1, initializer_range=0.5, **shape)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder / "judge")
    tokenizer.save_pretrained(folder / "judge")
    said = ["--split", "train", "--teacher", "judge", "--limit", "10", "--output", "judged"]
    succeed("repro.distill", *said, cwd=folder)
    rows = pd.read_parquet(folder / "judged")
    for row in rows.head(3).itertuples():
        texts = [row.positive, *(getattr(row, f"negative_{i}") for i in range(1, 9))]
        inputs = tokenizer([row.query] * 9, texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs).logits[:, 0].numpy()
        assert np.allclose(row.label, scores[0] - scores[1:], atol=1e-4)


def test_killed_and_resumed_is_the_uninterrupted_model(folder):
    """kill -9 after the first checkpoint; dropout is on, so the random state must come back, too."""
    succeed("repro.train", *options("whole"), cwd=folder)
    command = [sys.executable, "-m", "repro.train", *options("broken")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    checkpoints = folder / "broken.checkpoints"
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "broken").exists()
    succeed("repro.train", *options("broken"), cwd=folder)
    whole, broken = weights(folder / "whole"), weights(folder / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.allclose(whole[name], broken[name], rtol=0, atol=1e-6) for name in whole)
    assert not checkpoints.exists()
    base = load_file(resolve(find_system("splade-tiny")).path / "model.safetensors")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.allclose(whole[name], base[name], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def one(folder):
    """The model's folder after a training without dropout that logs every step."""
    said = options("one", "base=still", "held_out=0")
    succeed("repro.train", *said, "--log-every", "1", cwd=folder)
    return folder / "one"


def losses(folder):
    return [line for line in log(folder) if "base_loss" in line]


def test_two_processes_follow_the_curve_of_one(folder, one):
    """The batch is spread over them, and the FLOPS term is the whole batch's; dropout is off."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "repro.train"]
    said = options("two", "base=still", "held_out=0")
    succeed(*launcher, *said, "--log-every", "1", cwd=folder, OMP_NUM_THREADS="1")
    assert len(losses(one)) == len(losses(folder / "two")) >= 5
    for a, b in zip(losses(one), losses(folder / "two")):
        for part in ("loss", "base_loss", "document_regularizer_loss", "query_regularizer_loss"):
            assert b[part] == pytest.approx(a[part], rel=5e-3, abs=1e-3), (a, b)
    first, second = weights(one), weights(folder / "two")
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_stock_modules_follow_the_same_curve(folder, one):
    said = options("stock", "base=still", "held_out=0")
    succeed("repro.train", *said, "--log-every", "1", "--stock", cwd=folder)
    assert json.loads((folder / "stock.manifest.json").read_text())["inputs"]["stock"] is True
    assert len(losses(folder / "stock")) == len(losses(one))
    for a, b in zip(losses(one), losses(folder / "stock")):
        assert b["loss"] == pytest.approx(a["loss"], rel=5e-3, abs=1e-3), (a, b)


def test_interrupted_distillation_goes_on_after_its_last_part(folder, tmp_path):
    """A machine that dies in the second part of twenty rows; the parts end up the same as without."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, repro.training.teachers as t\nload, calls = t.load, []\n"
        "def dying(*a):\n    score = load(*a)\n"
        "    return lambda pairs: calls.append(1) or (os._exit(9) if len(calls) == 2 else score(pairs))\n"
        "t.load = dying\n"
    )
    command = ["repro.distill", "--split", "train", "--teacher", "dense:all-minilm-l6-v2", "--limit", "80"]
    command += ["--shard-size", "20", "--output", "again"]
    died = run(*command, cwd=folder, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert died.returncode == 9 and not (folder / "again").exists()
    first = folder / "again.partial/part-00000.parquet"
    written = first.stat().st_mtime_ns
    succeed(*command, cwd=folder)
    assert (folder / "again/part-00000.parquet").stat().st_mtime_ns == written
    parts = sorted((folder / "again").glob("*.parquet"))
    assert len(parts) == 4
    again, whole = pd.concat(map(pd.read_parquet, parts)), pd.read_parquet(folder / "data")
    assert again.drop(columns="label").reset_index(drop=True).equals(whole.drop(columns="label"))
    assert np.allclose(np.stack(again.label), np.stack(whole.label), atol=1e-5)


def test_a_masked_language_model_learns_and_is_a_base(folder):
    said = ["--mlm", "sample", "--minutes", "0.15", "--output", "masked", "--threads", "2"]
    succeed("repro.train", *said, cwd=folder)
    manifest = json.loads((folder / "masked.manifest.json").read_text())
    assert manifest["steps"] > 3 and manifest["loss"] < manifest["first_loss"] - 0.2
    changes = options("from-masked", "base=masked", "held_out=0", "epochs=0.5")
    succeed("repro.train", *changes, cwd=folder)
    assert weights(folder / "from-masked")


def test_sparsity_is_measured_over_weights(folder):
    (folder / "README.md").write_text("<!-- bench sparsity sample -->\n<!-- /bench sparsity sample -->\n")
    recipe = ["sample", *SHORT, "epochs=2", "data={parquet: data}"]
    said = ["--collection", "sample", "--weights", "0.001,20", "--recipe", *recipe, "--json", "sparsity.json"]
    printed = succeed("repro.bench", "sparsity", *said, "--threads", "2", cwd=folder)
    start, little, much = json.loads((folder / "sparsity.json").read_text())["models"]
    assert start["weight"] is None and [little["weight"], much["weight"]] == [0.001, 20.0]
    assert much["document_terms"] < 0.9 * little["document_terms"]
    assert 0 < much["query_terms"] < little["query_terms"]
    assert all(0 < model["measured"]["held out"] <= 1 for model in (start, little, much))
    assert 0 < much["measured"]["test"] < 1
    assert f"{much['measured']['test']:.4f}" in printed and "xychart-beta" in printed
    assert printed.strip() in (folder / "README.md").read_text()


def test_training_steps_are_raced(folder):
    said = ["--shape", "tiny", "--data", "data", "--batch", "4", "--rounds", "1", "--threads", "2"]
    printed = succeed("repro.bench", "train", *said, "--json", "race.json", cwd=folder)
    race = json.loads((folder / "race.json").read_text())
    assert race["ours"]["rate"] > 0 and race["fastest_peer"] == "SparseEncoder with SpladePooling"
    assert f"**{race['ratio']} x**" in printed
    said = refused("repro.bench", "train", "--data", "data", "--batch", "100", cwd=folder)
    assert "80 rows are fewer than one batch of 100" in said


def test_a_collection_is_split_by_passage(folder):
    from conftest import write_beir

    from repro.collections.opening import open_collection

    qrels = [(f"q{i}", f"d{i // 2}", 1) for i in range(12)]  # two queries share each passage
    documents = [(f"d{i}", "", f"passage number {i}") for i in range(6)]
    write_beir(folder / "pairs", documents, [(q, f"query {q}") for q, _, _ in qrels], qrels)
    path = folder / succeed("repro.split", "--collection", "pairs", "--seed", "1", cwd=folder).strip()
    parts = {name: open_collection(str(path), name).qrels() for name in ("train", "test")}
    passages = {name: {d for judged in part.values() for d in judged} for name, part in parts.items()}
    assert len(parts["train"]) == len(parts["test"]) == 6
    assert not passages["train"] & passages["test"]
    assert succeed("repro.split", "--collection", "pairs", "--seed", "1", cwd=folder).strip() in str(path)


def test_log_has_the_parts_of_the_loss_and_active_terms(folder):
    lines = [line for line in log(folder / "whole") if "base_loss" in line]
    assert lines
    for line in lines:
        assert {"step", "query_regularizer_loss", "document_regularizer_loss"} <= line.keys()
        assert 5 < line["query_active_terms"] < 100 < line["document_active_terms"] < 1000
    assert any("eval_held_out_dot_mrr@10" in line for line in log(folder / "whole"))


def test_the_model_loads_everywhere(folder):
    from sentence_transformers import SparseEncoder
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    path = folder / "splade-whole"
    path.exists() or path.symlink_to(folder / "whole")
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
        from repro.lucene.java import prepare_jvm
        prepare_jvm()
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
    table = succeed("repro.table", "--systems", "splade:splade-whole", cwd=folder)
    assert "| splade-whole " in table


def test_recipes_are_checked(folder):
    stage = ["repro.train", "--recipe"]
    assert "unknown key 'learning'" in refused(*stage, "sample", "--set", "learning=1", cwd=folder)
    assert "learning_rate: expected float" in refused(
        *stage, "sample", "--set", "learning_rate=[]", cwd=folder
    )
    assert "choose from boolq, sample, scratch, splade-mini" in refused(*stage, "nothing", cwd=folder)
    (folder / "half.yaml").write_text("base: splade-tiny\n")
    assert "is missing" in refused(*stage, "half.yaml", cwd=folder)
    assert "--report-to nothing: nothing is not supp" in refused(
        *stage, "sample", "--report-to", "nothing", cwd=folder
    )
    for change in ("rows=0", "held_out=-1", "warmup_ratio=7", "epochs=.nan", "data={parquet: x"):
        assert change.split("=")[0] in refused(*stage, "sample", "--set", change, cwd=folder)
    assert "bm25" in refused(*stage, "sample", "--set", "base=bm25", cwd=folder)
    said = refused("repro.train", *options("none", "schedule=foo"), cwd=folder)
    assert "recipe sample: foo is not a valid SchedulerType" in said
    assert "--minutes 0" in refused("repro.train", "--mlm", "sample", "--minutes", "0", cwd=folder)
    said = refused(*stage, "sample", "--set", "data={parquet: nowhere}", cwd=folder)
    assert "there is no nowhere; make it with python -m repro.distill" in said


def test_models_that_lack_weights_are_refused(folder):
    """A library would make them up: a dense model has no masked-language-model head, a SPLADE model scores no pairs."""
    said = refused("repro.train", *options("none", "base=all-minilm-l6-v2"), cwd=folder)
    assert "all-minilm-l6-v2" in said
    shutil.copytree(resolve(find_system("all-minilm-l6-v2")).path, folder / "headless")
    said = refused("repro.train", *options("none", "base=headless"), cwd=folder)
    assert "lacks weights" in said and "headless" in said
    said = ["--split", "train", "--teacher", "still", "--limit", "10", "--output", "unjudged"]
    assert "still is no cross-encoder: it lacks" in refused("repro.distill", *said, cwd=folder)


def test_a_folder_that_was_not_made_here_is_not_replaced(folder):
    (folder / "mine").mkdir()
    (folder / "mine/thesis.txt").write_text("irreplaceable")
    assert "--output mine: it exists" in refused("repro.train", *options("mine"), cwd=folder)
    said = ["--split", "train", "--teacher", "dense:all-minilm-l6-v2", "--limit", "10", "--output", "mine"]
    assert "--output mine: it exists" in refused("repro.distill", *said, cwd=folder)
    assert (folder / "mine/thesis.txt").read_text() == "irreplaceable"


def test_a_finished_model_is_not_replaced_by_one_of_other_settings(folder, one):
    said = options("one", "base=still", "held_out=0", "seed=7")
    assert "trained with other settings" in refused("repro.train", *said, cwd=folder)
    assert (one / "model.safetensors").is_file()


def test_checkpoints_of_other_settings_are_not_thrown_away(tmp_path):
    from repro.base.errors import InputError
    from repro.train import _resume

    checkpoint = tmp_path / "model.checkpoints/checkpoint-7"
    assert _resume(checkpoint.parent, {"epochs": 1}, force=False) is False
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")
    with pytest.raises(InputError, match="holds an interrupted training with other settings"):
        _resume(checkpoint.parent, {"epochs": 2}, force=False)
    assert _resume(checkpoint.parent, {"epochs": 1}, force=False) is True and checkpoint.is_dir()
    assert _resume(checkpoint.parent, {"epochs": 2}, force=True) is False and not checkpoint.exists()
