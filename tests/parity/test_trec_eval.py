"""Against trec_eval itself (Anserini's, through Java) and MS MARCO's own rules, on runs full of ties."""

import random

import pytest
from anserini import trec_eval
from conftest import real_collection

from repro.collections.opening import open_collection
from repro.evaluation.measures import evaluate, parse_measures
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_queries

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


def figures(qrels, run):
    """Return trec_eval's figures by ir_measures' names: RR with ``-M 10``, the others without a cut."""
    cut = trec_eval("-c", "-M", "10", "-m", "recip_rank", qrels, run)
    full = trec_eval("-c", "-m", "ndcg_cut.10", "-m", "recall.10,1000", "-m", "map", qrels, run)
    printed = dict(line.split()[0::2] for line in (cut + full).splitlines() if "\tall\t" in line)
    return {name: float(printed[theirs or "recip_rank"]) for name, theirs in MEASURES.items()}


def check(qrels_path, run_path):
    ours = evaluate(read_trec_qrels(qrels_path), read_queries(run_path), parse_measures(MEASURES)).mean
    assert {name: round(value, 4) for name, value in ours.items()} == figures(qrels_path, run_path)


def test_random_runs_with_many_ties(tmp_path):
    rng = random.Random(3)
    docids = [f"{rng.choice('abAB')}{n}" for n in range(300)]
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    with open(qrels, "w") as q, open(run, "w") as r:
        for query in range(30):
            q.writelines(f"q{query} 0 {docid} {rng.randint(0, 3)}\n" for docid in rng.sample(docids, 20))
            if query % 10 != 9:  # a tenth of the queries is not answered
                r.writelines(
                    f"q{query} Q0 {docid} {rank} {rng.randint(25_000, 25_030)}.{rng.randint(0, 9)} t\n"
                    for rank, docid in enumerate(rng.sample(docids, 200), 1)
                )
    check(qrels, run)


@pytest.mark.parametrize("system", ["REPLLAMA", "SPLADE"])
def test_real_runs_with_ties(system):
    folder = real_collection("msmarco-mini")
    check(folder / "qrels-full/dl19.txt", folder / f"runs/{system}_dl19.trec")


def test_run_written_here_has_one_figure_under_every_order(measured_sample):
    """Strictly decreasing scores: ordering by score or by rank gives the same, as trec_eval does."""
    folder = measured_sample
    run = folder / "runs/run.sample.bm25.trec"
    qrels = open_collection("sample").qrels()
    (folder / "qrels").write_text(
        "".join(f"{q} 0 {d} {g}\n" for q, js in qrels.items() for d, g in js.items())
    )
    measures = parse_measures(MEASURES)
    by_score, by_rank = (evaluate(qrels, read_queries(run, by_rank), measures) for by_rank in (False, True))
    assert by_score == by_rank
    check(folder / "qrels", run)


@pytest.mark.parametrize("split", PUBLISHED)
def test_stored_runs_give_their_published_ndcg(split):
    """By rank, since REPLLAMA's file has scores of three digits: by score even trec_eval finds .7384."""
    folder = real_collection("msmarco-mini")
    qrels, measures = read_trec_qrels(folder / f"qrels-full/{split}.txt"), parse_measures(["nDCG@10"])
    found = {}
    for system in PUBLISHED[split]:
        results = read_queries(folder / f"runs/{system}_{split}.trec", by_rank=True)
        found[system] = round(evaluate(qrels, results, measures).mean["nDCG@10"], 4)
    assert found == PUBLISHED[split]


def test_ms_marco_rules(tmp_path):
    """MS MARCO's script: reciprocal rank of the first relevant of ten, by rank, over all judged queries."""
    folder = real_collection("msmarco-mini")
    qrels = read_trec_qrels(folder / "qrels-full/dl19.txt")
    run = dict(read_queries(folder / "runs/REPLLAMA_dl19.trec", by_rank=True))
    total = 0.0
    for query, judgments in qrels.items():
        ranking = sorted(run.get(query, {}), key=lambda docid: run[query][docid], reverse=True)[:10]
        total += next((1 / (i + 1) for i, docid in enumerate(ranking) if judgments.get(docid, 0) > 0), 0)
    found = evaluate(qrels, run.items(), parse_measures(["RR@10"])).mean["RR@10"]
    assert found == pytest.approx(total / len(qrels))
