"""Two processes on one --work, at each stage: both finish, and what they leave equals a lone run's."""

import json
import shutil
import threading

import pytest
from conftest import refused, run, run_here, succeed
from stages import COMMON, STAGES, all_made, differences

from repro.base.locks import locked

REPLACED = ("encode splade", "index dense", "search bm25")
"""Stages that are told to make anew what is whole, one of each kind; all go through the same code."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder in which each stage ran once, alone."""
    return shutil.copytree(
        all_made(tmp_path_factory), tmp_path_factory.mktemp("alone") / "copy", symlinks=True
    )


@pytest.mark.parametrize(
    ("name", "option"),
    [*((name, None) for name in STAGES), *((name, "--force") for name in REPLACED)],
)
def test_both_finish_and_leave_what_one_would(alone, tmp_path, name, option):
    stage, folder = STAGES[name], tmp_path / "folder"
    shutil.copytree(alone, folder, symlinks=True)
    if option is None:
        stage.undo(folder)
    processes = [stage.start(folder, *([option] if option else [])) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert differences(stage, folder, alone) == []
    names = {path.name for path in folder.rglob("*")} - {"write.lock"}  # which Lucene leaves
    assert not [name for name in names if ".partial" in name or name.endswith(".lock")]


def test_two_tables_from_nothing(alone, tmp_path):
    """Both start every stage; each stage's second process waits for the first, and finds its work done."""
    (tmp_path / "tiny").symlink_to((alone / "tiny").resolve())
    processes = [STAGES["table"].start(tmp_path) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    for name, stage in STAGES.items():
        if name not in ("encode splade", "encode dense", "table"):  # they have shards of another size
            assert differences(stage, tmp_path, alone) == [], name
    figures, expected = (
        [row["figures"] for row in json.loads((folder / "tables/tiny-test.json").read_text())["rows"]]
        for folder in (tmp_path, alone)
    )
    assert figures == expected


@pytest.mark.parametrize(
    ("command", "artifact"),
    [
        (["repro.encode", *COMMON, "splade-tiny", "--force"], "work/encoded/tiny/splade-tiny"),
        (["repro.index", *COMMON, "all-minilm-l6-v2", "--force"], "work/indexes/faiss.tiny.all-minilm-l6-v2"),
        (["repro.search", *COMMON, "bm25", "--force"], "runs/run.tiny-test.bm25.trec"),
        (["repro.search", *COMMON, "bm25", "--force"], "work/indexes/lucene-bm25.tiny"),
    ],
)
def test_no_wait_refuses_and_says_who_is_at_it(alone, command, artifact):
    with locked(alone / f"{artifact}.lock"):
        by = run if command[0] == "repro.index" else run_here  # FAISS shares no process with torch
        sentence = refused(*command, "--no-wait", cwd=alone, by=by)
    assert f"{artifact} is in use by process" in sentence and "leave --no-wait out" in sentence


def test_a_table_waits_for_what_another_process_has(alone):
    """Its last step reads all that its rows are made from, and nobody may replace that meanwhile."""
    lock = locked(alone / "work/indexes/lucene-bm25.tiny.lock")
    with lock:
        process = STAGES["table"].start(alone)
        lines = iter(process.stdout.readline, "")
        assert any("lucene-bm25.tiny: waiting for process" in line for line in lines)
        assert process.poll() is None
    rest = threading.Thread(target=process.communicate)
    rest.start()
    rest.join()
    assert process.returncode == 0


def test_links_to_a_model_are_made_anew_once_they_lead_elsewhere(alone, tmp_path):
    """As those to another environment's wheel; a folder that was not made here is a user's own, and stays."""
    folder = tmp_path / "folder"
    shutil.copytree(alone, folder, symlinks=True)
    models = folder / "work/models"
    made = {path.name: path.readlink() for path in (models / "splade-tiny").iterdir() if path.is_symlink()}
    names = {path.name for path in models.iterdir()}
    shutil.rmtree(models)
    (models / "all-minilm-l6-v2").mkdir(parents=True)
    (models / "splade-tiny").symlink_to(tmp_path / "elsewhere")  # one link, as older versions made it
    for system in ("splade-tiny", "all-minilm-l6-v2"):
        succeed("repro.encode", *COMMON, system, cwd=folder, by=run_here)
    linked = {path.name: path for path in (models / "splade-tiny").iterdir()}
    assert {name: path.readlink() for name, path in linked.items() if path.is_symlink()} == made
    assert made.keys() >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert linked.keys() - made.keys() == {"pytorch_model.bin"}
    assert not any((models / "all-minilm-l6-v2").iterdir())
    assert {path.name for path in models.iterdir()} == names - {"all-minilm-l6-v2.manifest.json"}
