"""Against trec_eval itself (Anserini's, through Java) and MS MARCO's own rules, on runs full of ties."""

import random

import pytest
from conftest import real_collection, succeed

from repro.collections.opening import open_collection
from repro.evaluation.measures import evaluate, parse_measures
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_run

MEASURES = {
    "RR@10": None,
    "nDCG@10": "ndcg_cut_10",
    "R@10": "recall_10",
    "R@1000": "recall_1000",
    "AP": "map",
}
PUBLISHED = {
    "dl19": {
        "BM25": 0.5058,
        "BM25RM3": 0.5216,
        "SPLADE": 0.7308,
        "TASB": 0.7210,
        "ADA2": 0.7035,
        "REPLLAMA": 0.7439,
    },
    "dl20": {
        "BM25": 0.4796,
        "BM25RM3": 0.4896,
        "SPLADE": 0.7197,
        "TASB": 0.6854,
        "ADA2": 0.6759,
        "REPLLAMA": 0.7205,
    },
}


def trec_eval(qrels, run, cwd):
    """Return trec_eval's figures by ir_measures' names: RR@10 by ``-M 10 -m recip_rank``, the others without a cut."""
    command = ["repro.pyserini", "eval.trec_eval", "-c"]
    cut = succeed(*command, "-M", "10", "-m", "recip_rank", qrels, run, cwd=cwd)
    full = succeed(*command, "-m", "ndcg_cut.10", "-m", "recall.10,1000", "-m", "map", qrels, run, cwd=cwd)
    said = dict(line.split()[0::2] for line in (cut + full).splitlines() if "\tall\t" in line)
    return {name: float(said[theirs or "recip_rank"]) for name, theirs in MEASURES.items()}


def check(qrels_path, run_path, cwd):
    ours = evaluate(read_trec_qrels(qrels_path), read_run(run_path), parse_measures(MEASURES)).mean
    theirs = trec_eval(qrels_path, run_path, cwd)
    assert {name: round(value, 4) for name, value in ours.items()} == theirs


def test_random_runs_with_many_ties(tmp_path):
    chance = random.Random(3)
    docids = [f"{chance.choice('abAB')}{n}" for n in range(300)]
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    with open(qrels, "w") as q, open(run, "w") as r:
        for query in range(30):
            q.writelines(
                f"q{query} 0 {docid} {chance.randint(0, 3)}\n" for docid in chance.sample(docids, 20)
            )
            if query % 10 != 9:  # a tenth of the queries is not answered
                r.writelines(
                    f"q{query} Q0 {docid} {rank} {chance.randint(25_000, 25_030)}.{chance.randint(0, 9)} t\n"
                    for rank, docid in enumerate(chance.sample(docids, 200), 1)
                )
    check(qrels, run, tmp_path)


@pytest.mark.parametrize("system", ["REPLLAMA", "SPLADE"])
def test_real_runs_with_ties(system, tmp_path):
    folder = real_collection("msmarco-mini")
    check(folder / "qrels-full/dl19.txt", folder / f"runs/{system}_dl19.trec", tmp_path)


def test_run_written_here_has_one_figure_under_every_order(tmp_path):
    """Strictly decreasing scores: ordering by score or by rank gives the same, as trec_eval does."""
    folder = tmp_path
    succeed("repro.table", "--systems", "bm25", cwd=folder)
    run = folder / "runs/run.sample.bm25.trec"
    qrels = open_collection("sample").qrels()
    (folder / "qrels").write_text(
        "".join(f"{q} 0 {d} {g}\n" for q, js in qrels.items() for d, g in js.items())
    )
    assert evaluate(qrels, read_run(run)).per_query == evaluate(qrels, read_run(run, by_rank=True)).per_query
    check(folder / "qrels", run, folder)


@pytest.mark.parametrize("split", PUBLISHED)
def test_stored_runs_give_their_published_ndcg(split):
    """By rank, since REPLLAMA's file has its scores rounded to three digits: by score even trec_eval finds .7384."""
    folder = real_collection("msmarco-mini")
    qrels = read_trec_qrels(folder / f"qrels-full/{split}.txt")
    found = {
        system: round(
            evaluate(
                qrels,
                read_run(folder / f"runs/{system}_{split}.trec", by_rank=True),
                parse_measures(["nDCG@10"]),
            ).mean["nDCG@10"],
            4,
        )
        for system in PUBLISHED[split]
    }
    assert found == PUBLISHED[split]


def test_ms_marco_rules(tmp_path):
    """MS MARCO's script: reciprocal rank of the first relevant of ten, by the rank column, over all judged queries."""
    folder = real_collection("msmarco-mini")
    qrels = read_trec_qrels(folder / "qrels-full/dl19.txt")
    run = read_run(folder / "runs/REPLLAMA_dl19.trec", by_rank=True)
    total = 0.0
    for query, judgments in qrels.items():
        ranking = sorted(run.get(query, {}), key=lambda docid: run[query][docid], reverse=True)[:10]
        total += next((1 / (i + 1) for i, docid in enumerate(ranking) if judgments.get(docid, 0) > 0), 0)
    assert evaluate(qrels, run).mean["RR@10"] == pytest.approx(total / len(qrels))
