"""A fusion and a re-ranking as a user has them: rows of the table, runs, and when these are made anew."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DOCUMENTS, QUERIES, refused, run_here, succeed, write_beir
from stages import copied
from test_distillation import judge

from repro.base.files import read_json
from repro.engines.fusion import fuse
from repro.formats.runs import RankedRun, read_run
from repro.models.systems import find_system
from repro.models.weights import resolve

FUSION = "bm25+splade-tiny"
RERANKING = f"{FUSION}>>cross-encoder:judge"
TABLE = ["repro.table", "--collection", "tiny", "--systems", f"{RERANKING},{FUSION},bm25"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which the table of a tiny collection was measured, the cross-encoder, its tokenizer."""
    folder = tmp_path_factory.mktemp("fusion")
    write_beir(folder / "tiny")
    model, tokenizer = judge(folder / "judge", resolve(find_system("splade-tiny")).path)
    succeed(*TABLE, cwd=folder, by=run_here)
    return folder, model, tokenizer


def run_of(folder, system):
    return folder / "runs" / f"run.tiny-test.{system}.trec"


def reranked_run(folder):
    (path,) = (folder / "runs").glob(f"run.tiny-test.{FUSION}++cross-encoder.judge-*.trec")
    return path


def test_the_table_has_their_rows(made):
    folder, model, _ = made
    rows = {row["kind"]: row for row in read_json(folder / "tables/tiny-test.json")["rows"]}
    assert list(rows) == ["reranking", "fusion", "bm25"]
    assert all(row["status"] == "measured" and row["queries"] == 3 for row in rows.values())
    assert rows["fusion"]["system"] == FUSION and rows["fusion"]["parameters"] == 4_416_698
    judging = sum(weight.numel() for weight in model.parameters())
    assert rows["reranking"]["parameters"] == 4_416_698 + judging
    assert rows["reranking"]["weights"]["source"] == "local folder judge"
    taken = [
        read_json(Path(f"{run_of(folder, name)}.manifest.json")) for name in ("bm25", "splade-tiny", FUSION)
    ]
    fused = taken[-1]["queries_per_second"]
    assert fused == pytest.approx(3 / sum(each["seconds"] for each in taken), rel=0.1, abs=0.1)
    assert not list((folder / "runs").glob("*partial*")) and not list((folder / "runs").glob("*texts*"))


def test_the_fused_run_is_that_of_both_rankings(made):
    folder, *_ = made
    parts = [RankedRun(run_of(folder, system), 1000) for system in ("bm25", "splade-tiny")]
    found = read_run(run_of(folder, FUSION))
    assert found.keys() == {"q1", "q2", "q3"} and "q3" not in parts[0]  # BM25 has no document for q3
    for query, scores in found.items():
        expected = fuse([part.get(query, []) for part in parts], 1000, "anserini")
        assert list(scores) == list(expected)
        np.testing.assert_array_equal(np.float32([*scores.values()]), np.float32([*expected.values()]))
    assert run_of(folder, FUSION).read_text().splitlines()[0].endswith(" bm25-splade-tiny")


def test_the_reranked_run_has_the_models_own_scores(made):
    folder, model, tokenizer = made
    queries = dict(QUERIES)
    texts = {docid: f"{title} {text}".strip() for docid, title, text in DOCUMENTS}
    fused, found = read_run(run_of(folder, FUSION)), read_run(reranked_run(folder))
    for query, scores in found.items():
        assert scores.keys() == fused[query].keys()
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        pairs = [(queries[query], texts[docid]) for docid in scores]
        with torch.no_grad():
            tokens = tokenizer(pairs, padding=True, truncation=True, max_length=64, return_tensors="pt")
            logits = model(**tokens).logits[:, 0]
        torch.testing.assert_close(torch.tensor(list(scores.values())), logits, atol=1e-4, rtol=0)


def needed(folder, *options):
    """Return the stages that a table would run, as (module, system)."""
    lines = succeed(*TABLE, "--dry-run", *options, cwd=folder, by=run_here).splitlines()
    return [(line.split()[2], line.split("--system ")[1].split(" -")[0].strip("'")) for line in lines]


def test_they_are_current_only_while_their_parts_are(made, tmp_path):
    folder = copied(made[0], tmp_path / "copy")
    bm25, fusion, reranking = (("repro.search", name) for name in ("bm25", FUSION, RERANKING))
    assert needed(folder) == []
    assert needed(folder, "--k1", "1.2") == [bm25, fusion, reranking]
    indexing = [("repro.index", "bm25"), bm25]
    encoding = [(f"repro.{stage}", "splade-tiny") for stage in ("encode", "index", "search")]
    assert needed(folder, "--force") == [*indexing, *encoding, fusion, reranking]  # once each
    path = run_of(folder, "bm25")
    path.write_text(path.read_text().replace(" 1 ", " 2 ", 1))
    assert needed(folder) == [bm25, fusion, reranking]
    shutil.rmtree(folder / "work/indexes/lucene-impact.tiny.splade-tiny")
    assert ("repro.index", "splade-tiny") in needed(folder)


def test_search_makes_the_runs_that_it_combines(made, tmp_path):
    folder = copied(made[0], tmp_path / "copy")
    expected = run_of(folder, FUSION).read_bytes()
    for path in [run_of(folder, "bm25"), run_of(folder, FUSION)]:
        path.unlink()
    command = ["repro.search", "--collection", "tiny", "--system"]
    assert succeed(*command, FUSION, cwd=folder, by=run_here).strip() == f"runs/run.tiny-test.{FUSION}.trec"
    assert run_of(folder, FUSION).read_bytes() == expected
    manifest = read_json(run_of(folder, FUSION).with_name(f"{run_of(folder, FUSION).name}.manifest.json"))
    assert manifest["inputs"]["rank_constant"] == 60 and len(manifest["inputs"]["runs"]) == 2
    before = reranked_run(folder).read_bytes()
    assert succeed(*command, RERANKING, "--tag", "mine", cwd=folder, by=run_here)
    assert reranked_run(folder).read_bytes() != before and run_of(folder, FUSION).read_bytes() == expected


def test_another_cross_encoder_has_a_run_of_its_own(made, tmp_path):
    folder = copied(made[0], tmp_path / "copy")
    before = reranked_run(folder)
    judge(folder / "judge", resolve(find_system("splade-tiny")).path, poison=3.0)
    assert needed(folder) == [("repro.search", RERANKING)]
    printed = succeed("repro.search", "--collection", "tiny", "--system", RERANKING, cwd=folder, by=run_here)
    assert folder / printed.strip() != before and before.exists()


def test_they_have_neither_encodings_nor_an_index(made):
    folder, *_ = made
    system = ["--collection", "tiny", "--system", FUSION]
    for stage, verb in (("encode", "encodes nothing"), ("index", "has no index")):
        error = refused(f"repro.{stage}", *system, cwd=folder, by=run_here)
        assert f"{FUSION} {verb}, it combines runs: {stage} the systems that it is made of instead" in error


def test_a_model_that_is_no_cross_encoder_is_refused(made):
    folder, *_ = made
    headless = resolve(find_system("all-minilm-l6-v2")).path
    system = f"bm25>>cross-encoder:{headless}"
    command = ["repro.search", "--collection", "tiny", "--system", system]
    assert "is no cross-encoder: it lacks classifier" in refused(*command, cwd=folder, by=run_here)
    (folder / "empty").mkdir()
    command = [*command[:-1], "bm25>>cross-encoder:empty"]
    assert "is no model folder" in refused(*command, cwd=folder, by=run_here)
