"""Binary measures from a grade above 1 on, against trec_eval's own ``-l``."""

import random

import pytest
from anserini import trec_eval
from conftest import real_collection

from repro.cli.options import MeasureOptions
from repro.evaluation.measures import evaluate
from repro.evaluation.standards import measures_of
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_queries

LEVEL = 2
OFFICIAL = ["nDCG@10", "RR(rel=2)", "AP(rel=2)"]
THEIRS = {
    "RR(rel=2)@10": "recip_rank",
    "AP(rel=2)": "map",
    "R(rel=2)@1000": "recall_1000",
    "nDCG@10": "ndcg_cut_10",
}


def figures(qrels, run):
    """Return trec_eval's figures at ``-l 2``, RR with ``-M 10``; nDCG takes every grade at any level."""
    cut = trec_eval("-c", "-l", LEVEL, "-M", "10", "-m", "recip_rank", qrels, run)
    full = trec_eval("-c", "-l", LEVEL, "-m", "recall.1000", "-m", "map", qrels, run)
    graded = trec_eval("-c", "-m", "ndcg_cut.10", qrels, run)
    lines = (cut + full + graded).splitlines()
    printed = dict(line.split()[0::2] for line in lines if "\tall\t" in line)
    return {ours: float(printed[theirs]) for ours, theirs in THEIRS.items()}


def check(qrels, run):
    measures = measures_of(OFFICIAL, MeasureOptions())
    found = evaluate(read_trec_qrels(qrels), read_queries(run), measures).mean
    assert {name: round(value, 4) for name, value in found.items()} == figures(qrels, run)


def test_graded_judgments_and_many_ties(tmp_path):
    rng = random.Random(5)
    docids = [f"d{number}" for number in range(400)]
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    with open(qrels, "w") as q, open(run, "w") as r:
        for query in range(30):
            judged = rng.sample(docids, 30)
            q.writelines(f"q{query} 0 {docid} {rng.randint(0, 3)}\n" for docid in judged)
            ranking = rng.sample(docids, 100)
            r.writelines(f"q{query} Q0 {docid} 0 {rng.randint(1, 40)} t\n" for docid in ranking)
    check(qrels, run)


@pytest.mark.parametrize("system", ["BM25", "SPLADE"])
@pytest.mark.parametrize("year", ["dl19", "dl20"])
def test_stored_runs(system, year):
    folder = real_collection("msmarco-mini")
    check(folder / f"qrels-full/{year}.txt", folder / f"runs/{system}_{year}.trec")
