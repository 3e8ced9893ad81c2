"""Distillation from the command line: the rows, what is refused, interruption, two processes at once."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir
from safetensors.torch import load_file, save_file

from repro.base.locks import locked
from repro.collections.opening import open_collection
from repro.distillation import scoring, teacher_store
from repro.lucene.searching import BatchSearcher
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.training.rows import parquet_files

SAMPLE = ["repro.distill", "--split", "train", "--teacher", "dense:all-minilm-l6-v2"]
TINY = [
    "repro.distill",
    "--collection",
    "tiny",
    "--negatives-from",
    "run.txt",
    "--teacher",
    "dense:all-minilm-l6-v2",
]
MOMENTS = int(os.environ.get("REPRO_KILLS", "2"))

LIGHT_TEACHER = """
import os, zlib
import numpy as np
import repro.distillation.scoring as scoring

class Light:
    def encode(self, texts):
        numbers = [[zlib.crc32(f"{i} {text}".encode()) % 97 for i in range(4)] for text in texts]
        if "LOG_TO" in os.environ:
            print(len(texts), file=open(os.environ["LOG_TO"], "a"))
        return np.array(numbers, np.float32)
    encode_queries = encode_documents = encode

def judge(pairs):
    return np.array([zlib.crc32(repr(pair).encode()) % 997 / 97 for pair in pairs], np.float32)

scoring.bi_encoder = lambda teacher, threads: Light()
scoring.cross_encoder = lambda teacher, threads: judge
"""
"""Teachers that cost nothing; LOG_TO lists how many texts each call encodes."""
KILLED_BY_CALL = """
import os, signal, sys
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
HERE = os.getcwd() + os.sep
seen = 0

def count(event, arguments):
    global seen
    if event in EVENTS and os.path.abspath(str(arguments[0])).startswith(HERE):
        seen += 1
        if seen == int(os.environ.get("KILL_AT", "0")):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
if "COUNT_TO" in os.environ:
    import atexit
    atexit.register(lambda: open(os.environ["COUNT_TO"], "w").write(str(seen)))
"""
"""The process kills itself at its KILL_AT-th call that touches a file here."""
SMALL_PIECES = "import repro.distillation.teacher_store as store\nstore.PIECE, store.CALL = 8, 4\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with the sample's distillation data."""
    folder = tmp_path_factory.mktemp("distillation")
    succeed(*SAMPLE, "--limit", "24", "--output", "data", cwd=folder, by=run_here)
    return folder


@pytest.fixture
def tiny(tmp_path):
    """A collection of 30 passages and ten queries with a run, and what makes the teacher a light one."""
    documents = [(f"d{i}", "", f"passage {i} on subject {i * i}") for i in range(30)]
    queries = [(f"q{i}", f"which subject has number {i}") for i in range(10)]
    write_beir(tmp_path / "tiny", documents, queries, [(f"q{i}", f"d{i}", 1) for i in range(10)])
    lines = [f"q{q} Q0 d{(q + i) % 30} {i + 1} {50 - i} x\n" for q in range(10) for i in range(20)]
    (tmp_path / "run.txt").write_text("".join(lines))
    (tmp_path / "light").mkdir()
    (tmp_path / "light" / "sitecustomize.py").write_text(LIGHT_TEACHER)
    return tmp_path


@pytest.fixture
def here(monkeypatch):
    """``run_here`` with the light teachers, for what is not about processes."""
    for name in ("bi_encoder", "cross_encoder"):
        monkeypatch.setattr(scoring, name, getattr(scoring, name))  # which is put back afterwards
    exec(LIGHT_TEACHER, {})
    return run_here


def light(folder):
    return {"PYTHONPATH": f"{folder / 'light'}:{REPOSITORY}"}


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def passages(rows):
    return rows[["positive", *(f"negative_{i}" for i in range(1, 9))]]


def judge(folder, tokenizer_of, poison=None):
    """Write a cross-encoder of random weights, one of them ``poison``; return model and tokenizer."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    torch.manual_seed(5)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(
        vocab_size=len(tokenizer), num_labels=1, initializer_range=0.5, max_position_embeddings=64, **shape
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    if poison is not None:
        model.classifier.weight.data[0, 3] = poison
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def test_rows_have_the_published_columns(folder):
    rows = pd.concat(pd.read_parquet(path) for path in (folder / "data").glob("*.parquet"))
    assert list(rows.columns) == [
        "query_id",
        "query",
        "positive",
        *(f"negative_{i}" for i in range(1, 9)),
        "label",
    ]
    assert len(rows) == 24 and all(len(label) == 8 for label in rows.label)
    assert all(len(set(row)) == 9 for row in passages(rows).itertuples(index=False))
    assert np.mean(np.stack(rows.label)) > 0.2  # the teacher prefers positives
    manifest = json.loads((folder / "data.manifest.json").read_text())
    assert manifest["teacher"] == "dense:all-minilm-l6-v2" and manifest["counts"]["rows"] == 24
    assert manifest["weights"] == resolve(find_system("all-minilm-l6-v2")).record()


def test_interrupted_work_goes_on_after_its_last_part(folder, tmp_path):
    """A machine that dies in the second part of eight rows; the rows end up the same as without."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, repro.distillation.distilling as d\nscored, parts = d._scored, []\n"
        "d._scored = lambda *a: parts.append(1) or (os._exit(9) if len(parts) == 2 else scored(*a))\n"
    )
    command = [*SAMPLE, "--limit", "24", "--shard-size", "8", "--output", "again"]
    died = run(*command, cwd=folder, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert died.returncode == 9 and not (folder / "again").exists()
    (first,) = folder.glob("again.partial-*/part-00000.parquet")
    written = first.stat().st_mtime_ns
    done = run_here(*command, cwd=folder)
    assert done.returncode == 0 and "going on after 8 of 24 rows" in done.stderr, done.stderr
    assert (folder / "again/part-00000.parquet").stat().st_mtime_ns == written
    again, whole = pd.read_parquet(folder / "again"), pd.read_parquet(folder / "data")
    assert len(list((folder / "again").iterdir())) == 3
    assert again.drop(columns="label").equals(whole.drop(columns="label"))
    assert np.allclose(np.stack(again.label), np.stack(whole.label), atol=1e-5)


def test_a_cross_encoder_teaches_with_its_logits(folder):
    """One of random weights and few positions: margins are differences of what transformers computes."""
    model, tokenizer = judge(folder / "judge", resolve(find_system("splade-tiny")).path)
    command = ["--split", "train", "--teacher", "judge", "--limit", "10", "--output", "judged"]
    succeed("repro.distill", *command, cwd=folder, by=run_here)
    rows = pd.read_parquet(folder / "judged")
    for row in rows.head(3).itertuples():
        texts = [row.positive, *(getattr(row, f"negative_{i}") for i in range(1, 9))]
        pairs = [row.query] * 9, texts
        inputs = tokenizer(*pairs, padding=True, truncation=True, max_length=64, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs).logits[:, 0].numpy()
        assert np.allclose(row.label, scores[0] - scores[1:], atol=1e-4)


def test_teachers_that_cannot_teach_are_refused(tiny):
    """A library would make weights up, score with not-a-numbers, or run the folder's Python."""
    tokenizer_of = resolve(find_system("splade-tiny")).path
    command = [*TINY[:-1], "broken", "--output", "unjudged"]
    judge(tiny / "broken", tokenizer_of, poison=float("nan"))
    assert "weights of" in (error := refused(*command, cwd=tiny, by=run_here)) and "not all finite" in error
    weights = load_file(tiny / "broken/model.safetensors")
    save_file(
        {name: weight for name, weight in weights.items() if "classifier" not in name},
        tiny / "broken/model.safetensors",
        metadata={"format": "pt"},
    )
    assert "broken is no cross-encoder: it lacks classifier" in refused(*command, cwd=tiny, by=run_here)
    config = json.loads((tiny / "broken/config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "own.Judge"}
    (tiny / "broken/config.json").write_text(json.dumps(config))
    (tiny / "broken/own.py").write_text(f"open({str(tiny / 'ran')!r}, 'w')\n")
    assert "asks for Python code of the model's own" in refused(*command, cwd=tiny, by=run_here)
    assert not (tiny / "ran").exists() and not (tiny / "unjudged").exists()
    for name in ("nowhere", "./nowhere", "dense:nowhere", "a/b c"):
        assert f"--teacher {name}: there is no such folder" in refused(
            *TINY[:-1], name, cwd=tiny, by=run_here
        )


def test_the_teachers_revision_is_in_the_manifest(tiny, here):
    """Two revisions of a Hub name in the cache: each makes data of its own, and says which."""
    repository = tiny / "hub" / "models--me--judge"
    tokenizer_of = resolve(find_system("splade-tiny")).path
    for commit, bias in (("a" * 40, 0.25), ("b" * 40, 0.5)):
        judge(repository / "snapshots" / commit, tokenizer_of, poison=bias)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (repository / "refs" / "v2").write_text("b" * 40)
    hub = {"HF_HUB_CACHE": str(tiny / "hub"), "HF_HUB_OFFLINE": "1"}
    for name, commit in (("me/judge", "a"), ("me/judge@v2", "b")):
        made = Path(succeed(*TINY[:-1], name, cwd=tiny, by=here, **hub).strip())
        manifest = json.loads((tiny / f"{made}.manifest.json").read_text())
        assert manifest["weights"]["revision"] == commit * 40 and manifest["teacher"] == name
    assert len(list((tiny / "work/distilled").glob("*.manifest.json"))) == 2


def test_killed_at_any_moment_the_bytes_are_those_of_an_undisturbed_run(tiny, here, monkeypatch):
    """kill -9 at moments spread over all calls that touch files, the steps of the commit included."""
    command = [*TINY, "--shard-size", "3", "--held-out", "2", "--output"]
    with open(tiny / "light/sitecustomize.py", "a") as file:
        file.write(SMALL_PIECES + KILLED_BY_CALL)
    monkeypatch.setattr(teacher_store, "PIECE", 8)
    monkeypatch.setattr(teacher_store, "CALL", 4)
    succeed(*command, "whole", cwd=tiny, by=here)
    whole = contents(tiny / "whole")
    assert len(whole) == 3 + 3  # eight rows; a collection of its own
    again = [*command, "again", "--work", "work-again"]
    succeed(*again, cwd=tiny, COUNT_TO=str(tiny.parent / "calls"), **light(tiny))
    calls = int((tiny.parent / "calls").read_text())
    for moment in range(MOMENTS):
        name, at = f"killed-{moment}", calls - moment * calls // MOMENTS
        killed = [*command, name, "--work", f"work-{name}"]
        died = run(*killed, cwd=tiny, KILL_AT=str(at), **light(tiny))
        assert died.returncode == -signal.SIGKILL, (at, calls, died.stderr)
        succeed(*killed, cwd=tiny, by=here)
        assert contents(tiny / name) == whole, at
        left = [*tiny.glob(f"{name}.partial*"), *tiny.glob(f"{name}.texts*")]
        assert not left and not list(tiny.glob(f"work-{name}/teachers/**/partial-*")), at


def test_the_size_of_parts_may_change_between_killed_and_resumed(tiny, here):
    command = [*TINY, "--output", "cut", "--shard-size"]
    succeed(*TINY, "--output", "whole", cwd=tiny, by=here)
    calls = "import repro.distillation.distilling as d, os\nwrite = d.flush\nparts = []\n"
    dying = "d.flush = lambda path: parts.append(1) or (os._exit(9) if len(parts) == 3 else write(path))\n"
    (tiny / "dying").mkdir()
    (tiny / "dying/sitecustomize.py").write_text(LIGHT_TEACHER + calls + dying)
    died = run(*command, "2", cwd=tiny, PYTHONPATH=f"{tiny / 'dying'}:{REPOSITORY}")
    assert died.returncode == 9
    (partial,) = (path for path in tiny.glob("cut.partial-*") if path.is_dir())
    assert len(list(partial.iterdir())) == 3  # two that are finished, one that is not listed
    succeed(*command, "4", cwd=tiny, by=here)
    assert [len(pd.read_parquet(path)) for path in sorted((tiny / "cut").iterdir())] == [2, 2, 4, 2]
    assert pd.read_parquet(tiny / "cut").equals(pd.read_parquet(tiny / "whole"))
    modified = {path: path.stat().st_mtime_ns for path in (tiny / "cut").iterdir()}
    succeed(*command, "5", cwd=tiny, by=here)  # the rows are there, however they are cut
    assert modified == {path: path.stat().st_mtime_ns for path in (tiny / "cut").iterdir()}


def test_two_processes_at_once_make_what_one_makes(tiny, here):
    succeed(*TINY, "--shard-size", "2", "--output", "alone", cwd=tiny, by=here)
    command = [sys.executable, "-m", *TINY, "--shard-size", "2", "--output", "both"]
    environment = {**os.environ, **light(tiny)}
    both = [
        subprocess.Popen(command, cwd=tiny, env=environment, text=True, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert sum("10 rows of 8 margins" in error for error in errors) == 1  # the other found it current
    assert contents(tiny / "both") == contents(tiny / "alone")


def test_no_wait_refuses_what_another_process_makes(tiny):
    with locked(tiny / "held.lock"):
        error = refused(*TINY, "--output", "held", "--no-wait", cwd=tiny, **light(tiny))
    assert "held is in use by process" in error


def test_work_of_other_settings_is_not_replaced_without_force(tiny, here):
    """Finished data, as README's speed command did with --limit 700; and parts of an interrupted run."""
    made = tiny / succeed(*TINY, cwd=tiny, by=here).strip()
    before = contents(made)
    error = refused(*TINY, "--limit", "4", "--seed", "7", cwd=tiny, by=here)
    assert "was made by repro.distill with other settings (limit, seed)" in error and "--force" in error
    assert contents(made) == before
    succeed(*TINY, "--limit", "4", "--seed", "7", "--force", cwd=tiny, by=here)
    assert len(pd.read_parquet(made)) == 4
    dying = "import repro.distillation.distilling as d, os\nscored = d._scored\nparts = []\n"
    dying += "d._scored = lambda *a: parts.append(1) or (os._exit(9) if len(parts) == 2 else scored(*a))\n"
    (tiny / "dying").mkdir()
    (tiny / "dying/sitecustomize.py").write_text(LIGHT_TEACHER + dying)
    command = [*TINY, "--output", "half", "--shard-size", "2"]
    assert run(*command, cwd=tiny, PYTHONPATH=f"{tiny / 'dying'}:{REPOSITORY}").returncode == 9
    error = refused(*command, "--depth", "9", cwd=tiny, by=here)
    assert "half was begun by repro.distill with other settings (depth)" in error
    done = here(*command, cwd=tiny)
    assert done.returncode == 0 and "going on after 2 of 10 rows" in done.stderr


def test_runs_of_two_depths_do_not_replace_each_other(tmp_path, here):
    """While one distills for hours, another with more candidates must neither wait nor take its run away."""
    write_beir(tmp_path / "tiny", [(f"d{i}", "", f"sea and bread number {i}") for i in range(30)])
    (tmp_path / "tiny/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    command = ["repro.distill", "--collection", "tiny", "--teacher", "dense:all-minilm-l6-v2"]
    for depth in ("9", "20"):
        options = ["--depth", depth, "--output", f"to-{depth}", "--threads", "1"]
        succeed(*command, *options, cwd=tmp_path, by=here)
    runs = sorted((tmp_path / "work/distilled/runs").glob("*/*.trec"))
    assert [len(path.read_text().splitlines()) for path in runs] == [20, 42]
    inputs = [json.loads((tmp_path / f"to-{d}.manifest.json").read_text())["inputs"] for d in (9, 20)]
    assert inputs[0]["runs"] == [hashlib.sha256(runs[0].read_bytes()).hexdigest()]


def test_a_folder_that_was_not_made_here_is_not_replaced(tiny, here):
    (tiny / "mine").mkdir()
    (tiny / "mine/thesis.txt").write_text("irreplaceable")
    assert "--output mine: it exists" in refused(*TINY, "--output", "mine", cwd=tiny, by=here)
    assert (tiny / "mine/thesis.txt").read_text() == "irreplaceable"


def encoded(log: Path) -> int:
    """Return how many texts were encoded, and begin to count anew."""
    texts = sum(map(int, log.read_text().split())) if log.exists() else 0
    log.unlink(missing_ok=True)
    return texts


def test_each_text_is_encoded_once_whatever_the_depth_and_the_output(tiny, here):
    log = tiny.parent / "log"
    here = partial(here, LOG_TO=str(log))
    succeed(*TINY, "--depth", "9", "--shard-size", "2", "--output", "short", cwd=tiny, by=here)
    rows = pd.read_parquet(tiny / "short")
    asked = set(passages(rows).to_numpy().ravel())
    assert encoded(log) == len(asked) + 10  # passages of several rows, and queries
    succeed(*TINY, "--depth", "20", "--negatives", "11", "--output", "deep", cwd=tiny, by=here)
    deeper = pd.read_parquet(tiny / "deep")
    columns = ["positive", *(f"negative_{i}" for i in range(1, 12))]
    assert list(deeper.columns) == ["query_id", "query", *columns, "label"]
    assert all(len(label) == 11 for label in deeper.label)
    assert encoded(log) == len(set(deeper[columns].to_numpy().ravel()) - asked)
    succeed(*TINY, "--depth", "20", "--negatives", "11", "--output", "deep", "--force", cwd=tiny, by=here)
    assert encoded(log) == 0
    assert pd.read_parquet(tiny / "deep").equals(deeper)


def test_a_killed_teacher_goes_on_after_the_piece_that_it_wrote_last(tiny, here):
    log = tiny.parent / "log"
    dying = LIGHT_TEACHER + SMALL_PIECES
    dying += "append, pieces = store.TeacherStore._append, []\n"
    dying += "def dies(*a):\n    pieces.append(1)\n    if len(pieces) == 4: os._exit(9)\n    append(*a)\n"
    dying += "store.TeacherStore._append = dies\n"
    (tiny / "dying").mkdir()
    (tiny / "dying/sitecustomize.py").write_text(dying)
    environment = {"LOG_TO": str(log), "PYTHONPATH": f"{tiny / 'dying'}:{REPOSITORY}"}
    assert run(*TINY, "--output", "data", cwd=tiny, **environment).returncode == 9
    assert encoded(log) == 8 + 2 + 8 + 8  # two pieces of queries, two of passages, of which one is lost
    done = here(*TINY, "--output", "data", cwd=tiny, LOG_TO=str(log))
    assert done.returncode == 0, done.stderr
    total = len(set(passages(pd.read_parquet(tiny / "data")).to_numpy().ravel()))
    assert f"8 of {total} passages are known" in done.stderr and encoded(log) == total - 8


@pytest.mark.parametrize("teacher", ["dense:all-minilm-l6-v2", "cross"])
def test_three_machines_compute_each_text_once_and_leave_the_same_bytes(tiny, here, monkeypatch, teacher):
    """Two have a folder in common, the third one has its own."""
    monkeypatch.setattr(teacher_store, "CALL", 8)
    if teacher == "cross":
        shutil.copytree(resolve(find_system("splade-tiny")).path, tiny / "cross")
    command, log = [*TINY[:-1], teacher, "--depth", "20"], tiny.parent / f"{tiny.name}.log"
    succeed(*command, "--work", "one", "--output", "alone", cwd=tiny, by=here)
    counted = partial(here, LOG_TO=str(log))
    for share, work in (("1/3", "work"), ("2/3", "work"), ("3/3", "third")):
        made = succeed(*command, "--work", work, "--shard", share, cwd=tiny, by=counted)
        assert made.startswith(f"{work}/teachers/") and list((tiny / made.strip()).glob("*/piece-*"))
    asked = pd.read_parquet(tiny / "alone")
    if teacher != "cross":
        assert encoded(log) == len(set(passages(asked).to_numpy().ravel())) + 10
    foreign = refused(*command, "--merge", "one/teachers", "--output", "data", cwd=tiny, by=here)
    assert "--merge one/teachers: teachers/" in foreign and "repro.distill --shard I/N" in foreign
    done = counted(*command, "--merge", "third", "--output", "data", cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert encoded(log) == 0 and contents(tiny / "data") == contents(tiny / "alone")
    (total,) = {
        line.split()[2] for line in done.stderr.splitlines() if "passages are" in line or "pairs are" in line
    }
    assert f"{total} of {total} p" in done.stderr  # nothing was left to compute
    assert not list((tiny / "work").rglob("*.texts-*"))


def test_a_teacher_that_encoded_the_corpus_encodes_it_once(tmp_path):
    """The dense baseline among --negatives-from: its vectors are taken from the shards of the table."""
    write_beir(tmp_path / "tiny", [(f"d{i}", "", f"sea and bread number {i}") for i in range(30)])
    (tmp_path / "tiny/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    teacher = ["--teacher", "dense:all-minilm-l6-v2", "--collection", "tiny", "--threads", "1"]
    command = ["repro.distill", *teacher, "--negatives-from"]
    done = run_here(*command, "all-minilm-l6-v2", "--output", "shared", cwd=tmp_path)
    assert "vectors are those of work/encoded/tiny/all-minilm-l6-v2" in done.stderr, done.stderr
    assert not list((tmp_path / "work/teachers").rglob("passages-*"))
    (run,) = (tmp_path / "work/distilled/runs").glob("*/*.trec")
    apart = [*command, str(run), "--work", "elsewhere", "--output", "apart"]
    succeed(*apart, cwd=tmp_path, by=run_here)
    shared, apart = pd.read_parquet(tmp_path / "shared"), pd.read_parquet(tmp_path / "apart")
    assert shared.drop(columns="label").equals(apart.drop(columns="label"))
    assert np.allclose(np.stack(shared.label), np.stack(apart.label), atol=1e-5)


def test_drawn_queries_are_distilled_without_judgments_or_queries(tmp_path, here):
    """A folder with a corpus alone; BM25's index of it serves the folder of the drawn queries."""
    documents = [(f"d{i}", f"Title {i}", f"subject {i} has a passage of words {i * i}") for i in range(30)]
    write_beir(tmp_path / "bare", documents)
    shutil.rmtree(tmp_path / "bare/qrels")
    (tmp_path / "bare/queries.jsonl").unlink()
    command = ["repro.distill", "--collection", "bare", "--teacher", "dense:all-minilm-l6-v2"]
    error = refused(*command, cwd=tmp_path, by=run_here)
    assert "qrels/test.tsv (or" in error and "is missing" in error and "--queries-from passages" in error
    drawing = [*command, "--queries-from", "passages,titles", "--rows", "40"]
    made = tmp_path / succeed(*drawing, cwd=tmp_path, by=here).strip()
    assert made.name == "bare.all-minilm-l6-v2.titles-passages.rows-40"
    rows = pd.read_parquet(made)
    assert len(rows) == 40 and rows["query"].nunique() == 40
    texts = {f"d{i}": f"{title} {text}" for i, (_, title, text) in enumerate(documents)}
    for row in rows.itertuples():
        _, source, docid, *_ = row.query_id.split(".")
        assert row.positive == texts[docid] and row.query in texts[docid]
        assert (
            row.query == f"Title {docid[1:]}"
            if source == "titles"
            else len(row.query.split()) in range(4, 13)
        )
    (queries,) = (path for path in (tmp_path / "work/queries").iterdir() if path.is_dir())
    assert (queries / "corpus.jsonl").readlink() == tmp_path / "bare/corpus.jsonl"
    assert [path.name for path in (tmp_path / "work/indexes").iterdir() if path.is_dir()] == [
        "lucene-bm25.bare"
    ]
    manifest = json.loads(made.with_name(f"{made.name}.manifest.json").read_text())
    assert manifest["inputs"]["queries_from"] == ["titles", "passages"]


def test_bm25s_margins_are_those_of_its_scores(tiny, here):
    """Of all pairs of a row, whatever run the candidates come from; a search's score where it finds one."""
    made = tiny / succeed(*TINY, "--bm25", cwd=tiny, by=here).strip()
    assert made.name == "tiny-test.all-minilm-l6-v2.bm25"
    rows, without = pd.read_parquet(made), pd.read_parquet(tiny / succeed(*TINY, cwd=tiny, by=here).strip())
    assert rows.drop(columns="bm25").equals(without)
    (index,) = (tiny / "work/indexes").glob("lucene-bm25.tiny")
    with BatchSearcher(index, 1, (0.9, 0.4)) as searcher:
        found = [ranking.results() for ranking in searcher.search(rows["query"].tolist(), 30)]
    ids = {document.text: document.id for document in open_collection(str(tiny / "tiny")).documents()}
    scores = np.array(
        [[of.get(ids[text], 0.0) for text in row] for of, row in zip(found, passages(rows).to_numpy())]
    )
    assert np.allclose(np.stack(rows.bm25), scores[:, :1] - scores[:, 1:], atol=1e-5)
    assert (np.stack(rows.bm25) > 1).all()  # a passage alone has the number that its query names


def test_held_out_queries_are_a_collection_that_the_table_measures(folder, tmp_path, here):
    """The sample's training queries with drawn ones; the held-out folder goes through BM25 like any other."""
    shutil.copytree(
        folder / "work", tmp_path / "work", ignore=shutil.ignore_patterns("teachers", "distilled")
    )
    command = [*SAMPLE, "--queries-from", "judgments,passages", "--rows", "500", "--held-out", "40"]
    made = tmp_path / succeed(*command, "--depth", "20", cwd=tmp_path, by=here).strip()
    aside, whole = open_collection(str(made / "held-out")), open_collection("sample", "train")
    held_out = aside.qrels()
    assert len(held_out) == 40 and held_out == {query: whole.qrels()[query] for query in held_out}
    texts = {document.id: document.text for document in whole.documents()}
    tested = {texts[d] for judged in held_out.values() for d, grade in judged.items() if grade > 0}
    rows = pd.concat(map(pd.read_parquet, parquet_files(made)))
    drawn = rows["query_id"].str.startswith("from.passages.")
    assert len(rows) == 500 and 0 < drawn.sum() < 500
    assert not set(rows["query_id"]) & held_out.keys() and not set(rows["positive"]) & tested
    table = [
        "repro.table",
        "--collection",
        str(made / "held-out"),
        "--systems",
        "bm25",
        "--measures",
        "nDCG@10",
    ]
    row = next(
        line for line in succeed(*table, cwd=tmp_path, by=run_here).splitlines() if line.startswith("| bm25 ")
    )
    assert 0.3 < float(row.split("|")[4]) < 1
