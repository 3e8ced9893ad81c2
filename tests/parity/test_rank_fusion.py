"""Reciprocal rank fusion beside Pyserini's, on the same run files: the same documents at every rank."""

import random

import numpy as np
import pytest
from conftest import real_collection
from pyserini.fusion import reciprocal_rank_fusion
from pyserini.trectools import TrecRun

from repro.engines.fusion import fuse
from repro.formats.runs import RankedRun, read_run, write_run

DEPTH = 1000
"""Pyserini's default, of what is read and of what is written."""


def assert_equal(paths, ties="anserini"):
    """Fuse run files here and there; compare documents, order and scores. Return the number of lines."""
    theirs = reciprocal_rank_fusion([TrecRun(str(path)) for path in paths], depth=DEPTH, k=DEPTH).run_data
    runs = [RankedRun(path, DEPTH, ties) for path in paths]
    queries = dict.fromkeys(query for run in runs for query in run)
    lines = 0
    for query in queries:
        found = fuse([run.get(query, []) for run in runs], DEPTH, ties)
        expected = theirs[theirs["topic"].astype(str) == query]
        assert list(found) == list(expected["docid"])
        np.testing.assert_allclose(list(found.values()), expected["score"], rtol=1e-4)
        lines += len(found)
    assert lines == len(theirs)
    return lines


@pytest.mark.parametrize("systems", [2, 3, 4])
def test_random_rankings(tmp_path, systems):
    """Few documents, so that most are in all runs, many at ranks that add up to nearly the same; and many."""
    rng = random.Random(systems)
    paths = [tmp_path / f"{number}.trec" for number in range(systems)]
    for path in paths:
        results = []
        for query in range(60):
            documents = [f"d{i}" for i in range(rng.choice([5, 12, 40, 200]) if query else 1500)]
            ranking = rng.sample(documents, min(len(documents), DEPTH))
            results.append((f"q{query}", {docid: -float(rank) for rank, docid in enumerate(ranking)}))
        write_run(path, results, "random")
    assert assert_equal(paths) > 60 * 5


@pytest.mark.parametrize("names", [["BM25", "SPLADE"], ["BM25RM3", "SPLADE", "TASB", "ADA2"]])
def test_stored_runs_of_trec_dl(tmp_path, names):
    """Real rankings; their ties, in which Pyserini keeps the file's order, are settled first."""
    paths = []
    for name in names:
        stored = real_collection("msmarco-mini") / "runs" / f"{name}_dl19.trec"
        paths.append(tmp_path / stored.name)
        write_run(paths[-1], read_run(stored).items(), name)
    assert assert_equal(paths) > 43 * 100
