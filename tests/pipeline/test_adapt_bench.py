"""Adapting and measuring from one end to the other, on six passages; what it gains is no concern here."""

import json

import pytest
from conftest import run_here, succeed, write_beir

from repro.collections.beir import write_qrels
from repro.formats.runs import write_run

DATA = (
    "data={collection: tiny, split: train, teacher: 'dense:all-minilm-l6-v2', negatives_from: found.trec, "
    "depth: 5, negatives: 2}"
)
VARIANT = f'"{DATA}" negatives=[0,1] epochs=1 batch_size=2 max_length=16'
ADAPT = ["repro.bench", "adapt", "--variants", VARIANT, "--threads", "1", "--json", "adapted.json"]


def test_a_collection_is_adapted_to_and_measured_and_nothing_is_made_twice(tmp_path):
    tiny = write_beir(tmp_path / "tiny")
    write_qrels(tiny / "qrels" / "train.tsv", {"q1": {"d1": 1}, "q2": {"d2": 1}})
    write_qrels(tiny / "qrels" / "dev.tsv", {"q3": {"d5": 1}})
    write_run(tmp_path / "found.trec", ((q, {"d3": 3, "d4": 2, "d5": 1}) for q in ("q1", "q2")), "found")
    (tmp_path / "README.md").write_text("<!-- bench adapt -->\n<!-- /bench adapt -->\n")
    arguments = [*ADAPT, "--collections", "tiny:train:test+dev"]
    printed = succeed(*arguments, "--readme", cwd=tmp_path, by=run_here)
    assert f"\n{printed}" in (tmp_path / "README.md").read_text()
    (found,) = json.loads((tmp_path / "adapted.json").read_text())["adaptations"]
    assert found["collection"] == "tiny, test+dev" and found["queries"] == 4  # q3 is in both splits
    assert found["wall"]["seconds"] > 0 and found["wall"]["with_data"]
    assert 0 < found["kept"] <= 1 and 0 < found["teacher"] <= 1
    before, after = found["document_terms"]
    assert before != after and min(before, after) > 1

    # The figures are those of the run files: means over all queries of both splits.
    mean = 0.0
    for split, queries in (("test", 3), ("dev", 1)):
        run = tmp_path / "work" / "adapted" / "runs" / f"run.tiny-{split}.splade-tiny.trec"
        where = ["--collection", "tiny", "--split", split, "--measures", "nDCG@10"]
        line = succeed("repro.evaluate", run, *where, cwd=tmp_path, by=run_here)
        mean += queries / 4 * float(line.split()[-1])
    assert found["before"]["nDCG@10"] == pytest.approx(mean, abs=1e-4) and mean < 0.99

    # Asked for one of the splits: nothing that is there is made again, and the minutes are those of then.
    (manifest,) = (tmp_path / "work" / "adapted").glob("tiny-train.data-*.manifest.json")
    kept = [manifest, *sorted((tmp_path / "work" / "adapted" / "runs").glob("*tiny-test*.manifest.json"))]
    made = [path.read_bytes() for path in kept]
    succeed(*ADAPT, "--collections", "tiny:train:test", cwd=tmp_path, by=run_here)
    assert len(kept) == 4 and [path.read_bytes() for path in kept] == made
    (again,) = json.loads((tmp_path / "adapted.json").read_text())["adaptations"]
    assert again["queries"] == 3 and again["wall"] == found["wall"]
