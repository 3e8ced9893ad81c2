"""Races run through on the sample and say who won; their figures are the docs' business, not the tests'."""

import json

import pandas
import pytest
from conftest import copy_measured_sample, refused, run_here, succeed

from repro.benchmarks import block_max
from repro.formats.impact_vectors import read_vectors

ENCODE = ["--shape", "tiny", "--limit", "20", "--every", "10", "--rounds", "1", "--threads", "2"]
BLOCK = "<!-- bench encode splade-random-tiny -->\n<!-- /bench encode splade-random-tiny -->\n"


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A folder with the sample encoded by splade-tiny in its ./work."""
    return copy_measured_sample(tmp_path_factory, tmp_path_factory.mktemp("encoded") / "sample")


def test_encoders_are_raced_with_random_weights(tmp_path):
    (tmp_path / "README.md").write_text(BLOCK)
    arguments = [*ENCODE, "--only", "batch 4", "--json", "results/race.json", "--readme"]
    printed = succeed("repro.bench", "encode", *arguments, cwd=tmp_path, by=run_here)
    race = json.loads((tmp_path / "results" / "race.json").read_text())
    assert race["fastest_peer"] == "SparseEncoder, float32, batch 4" and race["ours"]["rate"] > 0
    assert f"**{race['ratio']} x**" in printed
    assert (tmp_path / "README.md").read_text() == BLOCK.replace("\n", f"\n{printed.strip()}\n", 1)


def test_dense_encoders_are_raced_after_their_vectors_were_compared(tmp_path):
    arguments = [
        "--system",
        "all-minilm-l6-v2",
        *ENCODE[2:],
        "--only",
        "float32, batch 4",
        "--json",
        "race.json",
    ]
    printed = succeed("repro.bench", "encode", *arguments, cwd=tmp_path, by=run_here)
    race = json.loads((tmp_path / "race.json").read_text())
    assert race["fastest_peer"] == "SentenceTransformer, float32, batch 4" and race["ours"]["rate"] > 0
    assert (race["compared"], race["differing"]) == (20, 0)
    assert "20 of 20 vectors equal Sentence Transformers' within 1e-06 of their length" in printed


def test_a_page_without_the_block_is_told(tmp_path):
    (tmp_path / "README.md").write_text(BLOCK)
    done = run_here("repro.bench", "exactness", "--limit", "2", "--readme", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "whole block <!-- bench exactness splade-tiny -->; nothing was written" in done.stderr
    assert (tmp_path / "README.md").read_text() == BLOCK


def test_drawn_collections_are_indexed_and_a_long_run_is_evaluated(encoded):
    blocks = ("published", "bench scale splade-tiny")
    stale = "".join(f"<!-- {name} -->\nstale\n<!-- /{name} -->\n" for name in blocks)
    (encoded / "README.md").write_text(stale)
    size = ["--queries", "200", "--hits", "50"]
    arguments = ["--sizes", "700,300", *size, "--rounds", "1", "--threads", "2", "--json", "scale.json"]
    printed = succeed("repro.bench", "scale", *arguments, cwd=encoded, by=run_here)
    found = json.loads((encoded / "scale.json").read_text())
    assert [one["name"] for one in (found["ours"], *found["peers"])] == ["700 documents", "300 documents"]
    for one in (found["ours"], *found["peers"]):
        assert one["figures"]["postings MB"] > 0
        for k in (10, 50):
            assert one["figures"][f"queries/s, k = {k}"] > 0 and one["figures"][f"compiled, k = {k}"] > 0
    evaluated = [found["evaluation"]["ours"], *found["evaluation"]["peers"]]
    assert [one["name"] for one in evaluated] == ["repro.evaluate", "repro.table, last step"]
    for one in evaluated:
        assert one["rate"] > 0 and one["peak_memory_mb"] > 20 and f"| {one['name']} " in printed
    assert (found["evaluation"]["queries"], found["evaluation"]["hits"]) == (200, 50)
    assert (encoded / "README.md").read_text() == stale  # no --readme

    # What was measured: the commands over a whole run that is current for them, with figures that make sense.
    folder = encoded / "work" / "bench" / "evaluation"
    (trec,) = (folder / "runs-200x50").glob("*.trec")
    assert len(trec.read_text().splitlines()) == 200 * 50
    line = ["--collection", folder / "drawn-200x50", "--systems", "bm25", "--hits", "50", "--dry-run"]
    line += ["--work", "work", "--runs", "runs-200x50"]
    assert succeed("repro.table", *line, cwd=folder, by=run_here) == ""
    evaluating = ["repro.evaluate", trec, "--qrels", folder / "drawn-200x50" / "qrels.trec"]
    measured = succeed(*evaluating, cwd=folder, by=run_here)
    figures = {fields[2]: float(fields[3]) for fields in map(str.split, measured.splitlines())}
    assert 0.2 < figures["RR@10"] < 1


def test_a_row_is_walked_at_a_size_that_is_not_at_hand(encoded):
    arguments = ["--documents", "300", "--queries", "40", "--hits", "20", "--limit", "32", "--every", "4"]
    printed = succeed("repro.bench", "walk", *arguments, "--threads", "2", "--json", "walk.json", cwd=encoded)
    found = json.loads((encoded / "walk.json").read_text())
    done = {one["name"]: one["figures"]["done"] for one in (found["ours"], *found["peers"])}
    assert done == {
        "encoding": 32,
        "indexing": 300,
        "laying postings out": 300,
        "searching": 40,
        "evaluating": 40,
    }
    assert found["check"].startswith(
        "10 queries were searched in the Lucene index, too, with the same rankings"
    )
    made = encoded / "work" / "bench" / "walk"
    assert len((made / "run-300" / "run.trec").read_text().splitlines()) == 40 * 20
    seconds = [one["figures"]["seconds for all"] for one in (found["ours"], *found["peers"])]
    assert (
        seconds[0] == round(300 / found["ours"]["rate"]) or abs(300 / found["ours"]["rate"] - seconds[0]) <= 1
    )
    assert f"= {sum(seconds):,} s, " in printed


def test_a_stage_that_is_killed_ends_with_the_same_bytes(encoded):
    arguments = ["--only", "index", "--sizes", "300", "--kills", "1", "--hits", "20", "--threads", "2"]
    printed = succeed("repro.bench", "killed", *arguments, "--json", "killed.json", cwd=encoded, by=run_here)
    (found,) = json.loads((encoded / "killed.json").read_text())["stages"]
    assert (found["stage"], found["documents"], found["kills"]) == ("index", 300, 1)
    assert found["compared"] >= 1 and found["differing"] == [] and "| the same bytes |" in printed

    # It was the stage of a whole row: what it was made from counts what it holds, and only the rest is to do.
    folder = encoded / "work" / "bench" / "killed"
    vectors = [one.vector for one in read_vectors(folder / "work" / "encoded" / "drawn" / "splade-tiny")]
    manifest = json.loads((folder / "work" / "encoded" / "drawn" / "splade-tiny.manifest.json").read_text())
    terms = sum(map(len, vectors))
    counts = {"texts": 300, "active_terms": terms, "postings": terms, "without_terms": vectors.count({})}
    assert manifest["counts"] == counts
    line = ["--collection", "drawn", "--systems", "splade-tiny", "--hits", "20", "--dry-run"]
    left = succeed("repro.table", *line, cwd=folder, by=run_here).splitlines()
    assert [command.split()[2] for command in left] == ["repro.search"]


def test_compiled_search_is_raced_with_block_max_pruning(encoded):
    pytest.importorskip("bmp", reason="bmp is not installed: pip install bmp")
    arguments = ["--sizes", "300", "--hits", "50", "--blocks", "8", "--every", "2", "--rounds", "1"]
    printed = succeed("repro.bench", "scale", *arguments, "--only", "bmp", "--json", "bmp.json", cwd=encoded)
    found = json.loads((encoded / "bmp.json").read_text())
    assert found["differing"] == 0 and [race["hits"] for race in found["block_max"]] == [10, 50]
    for race in found["block_max"]:
        assert race["fastest_peer"] == "bmp, blocks of 8" and race["queries"] > 10
        assert race["ours"]["rate"] > 0 and f"**{race['ratio']} x**" in printed
    # few hits of 300 documents: bmp leaves out the last block, which has none of them
    assert f"{race['queries']} of {race['queries']} with bmp, blocks of 8" in printed


def test_block_max_pruning_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr(block_max.importlib.util, "find_spec", lambda name: None)
    record, text = block_max.race_sizes(None, None, [])
    assert record["block_max"] == text == "bmp was not raced: it is not installed (pip install bmp)"


def test_a_better_score_of_a_peer_is_counted():
    ours = (["a", "b"], [9.0, 4.0])
    assert not block_max._is_wrong(ours, ["a"], [9.0])  # it lacks a hit
    assert not block_max._is_wrong(ours, ["a", "c"], [9.0, 4.0])  # of those that tie
    assert block_max._is_wrong(ours, ["a", "c"], [9.0, 5.0])
    assert block_max._is_wrong(ours, ["b", "a"], [9.0, 4.0])
    assert block_max._is_wrong(ours, ["a", "b", "c"], [9.0, 4.0, 1.0])


def test_memory_of_stages_is_measured(tmp_path):
    """The index is a link to the drawn vectors, so that they lie there once."""
    arguments = ["--sizes", "80", "--hits", "5", "--rounds", "1", "--json", "memory.json"]
    printed = succeed("repro.bench", "memory", *arguments, "--only", "flat", cwd=tmp_path, by=run_here)
    found = json.loads((tmp_path / "memory.json").read_text())
    measured = [found["ours"], *found["peers"]]
    assert [one["name"] for one in measured] == [
        "dense index, flat, 80 vectors",
        "dense search, flat, 80 vectors",
    ]
    for one in measured:
        assert one["peak_memory_mb"] > 20 and one["rate"] > 0 and f"| {one['name']} " in printed
        assert one["figures"]["s"] >= 0
    folder = tmp_path / "work/bench/memory"
    assert (folder / "index-flat/index").samefile(folder / "drawn-80/index")


def test_a_name_that_no_contestant_has_is_refused_before_any_work(tmp_path):
    sentence = refused("repro.bench", "scale", "--only", "other", cwd=tmp_path, by=run_here)
    assert "--only other: no contestant's name contains it" in sentence and "repro.evaluate" in sentence
    assert not (tmp_path / "work").exists()


def test_ours_that_dies_ends_the_race(tmp_path):
    (tmp_path / "data").mkdir()
    pandas.DataFrame({"question": ["why"] * 8}).to_parquet(tmp_path / "data" / "rows.parquet")
    arguments = ["--data", "data", "--batch", "4", "--rounds", "1", "--threads", "2"]
    sentence = refused("repro.bench", "train", *arguments, cwd=tmp_path, by=run_here)
    assert sentence.startswith(
        "error: repro ended with exit code 1 while warming up; the last it wrote to stderr"
    )
    assert sentence.endswith("KeyError: 'query'")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["index", "--shape", "mini"], "--shape is of encode and train"),
        (["train", "--shape", "base"], "--shape base is of encode; train takes tiny, mini, small"),
        (["search", "--system", "all-minilm-l6-v2"], "search measures a splade system"),
        (["encode", "--system", "bm25"], "encode measures a splade or dense system"),
        (["encode", "--json", "."], "--json .: is a folder"),
        (
            ["search", "--system", "splade-tiny"],
            "is missing or outdated; make it with python -m repro.encode",
        ),
        (["scale", "--sizes", "100,x"], "--sizes x: expected a whole number from 1 up"),
        (["sparsity", "--weights", "0.1,-1"], "--weights -1: expected a number from 0 up"),
        (["train", "--data", "data"], "rows.parquet: not a whole parquet file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_mistakes_are_told_in_a_sentence(arguments, sentence, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.parquet").write_bytes(b"no parquet")
    assert sentence in refused("repro.bench", *arguments, cwd=tmp_path, by=run_here)
