"""A part of the sample against stored figures of the peers: float32 vectors, BM25 and impact runs.

``reference/make.py`` made them with Sentence Transformers, Anserini and Pyserini 1.6 alone. Nothing skips.
"""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_here, succeed, write_beir

from repro.collections.opening import open_collection
from repro.formats.impact_vectors import read_vectors
from repro.formats.runs import read_run
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.encoder import SpladeEncoder

REFERENCE = Path(__file__).parent / "reference/reference.json.gz"


@pytest.fixture(scope="module")
def reference():
    with gzip.open(REFERENCE, "rt", encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture(scope="module")
def part(reference):
    """The passages and queries, {id: text}."""
    sample = open_collection("sample")
    documents = {d.id: d.text for d in sample.documents() if d.id in reference["documents"]}
    queries = {q.id: q.text for q in sample.queries() if q.id in reference["queries"]}
    assert documents.keys() == reference["documents"].keys() and queries.keys() == reference["queries"].keys()
    return documents, queries


@pytest.fixture(scope="module")
def folder(part, tmp_path_factory):
    """The part as a collection, with the runs of both systems."""
    folder = tmp_path_factory.mktemp("reference")
    documents, queries = part
    qrels = [(query, next(iter(documents)), 1) for query in queries]
    write_beir(folder / "part", [(d, "", text) for d, text in documents.items()], queries.items(), qrels)
    succeed("repro.table", "--collection", "part", "--systems", "bm25,splade-tiny", cwd=folder, by=run_here)
    return folder


@pytest.mark.parametrize("what", ["documents", "queries"])
def test_vectors_are_sentence_transformers(reference, part, what):
    texts = part[what == "queries"]
    encoder = SpladeEncoder(resolve(find_system("splade-tiny")).path)
    found = encoder.encode(texts.values())
    for row, identifier in enumerate(texts):
        ours = {encoder.vocabulary[t]: w for t, w in zip(found[row].indices, found[row].data)}
        theirs = reference[what][identifier]
        for term in ours.keys() | theirs.keys():  # a weight next to zero may be missing in one
            assert ours.get(term, 0) == pytest.approx(theirs.get(term, 0), abs=2e-5), (identifier, term)
        assert sum(ours.values()) == pytest.approx(sum(theirs.values()), rel=1e-5)


def test_impacts_are_the_rounded_weights(reference, folder):
    for vector in read_vectors(folder / "work/encoded/part/splade-tiny"):
        weights = reference["documents"][vector.id]
        exact = {term: weights.get(term, 0) / 5 * 256 for term in weights.keys() | vector.vector.keys()}
        for term, scaled in exact.items():
            assert abs(vector.vector.get(term, 0) - scaled) <= 0.5 + 0.002, (vector.id, term)


@pytest.mark.parametrize(("system", "stored"), [("bm25", "bm25"), ("splade-tiny", "impacts")])
def test_runs_are_pyserinis(reference, folder, system, stored):
    ours = read_run(folder / f"runs/run.part-test.{system}.trec")
    for query, theirs in reference["runs"][stored].items():
        found = list(ours[query].items())[: len(theirs)]
        # An impact on a rounding boundary may be one off on another processor, and a score with it.
        slack = 1e-3 if stored == "bm25" else 100
        np.testing.assert_allclose([s for _, s in found], [s for _, s in theirs], atol=slack)
        if stored == "bm25":
            assert [d for d, _ in found] == [d for d, _ in theirs]
            continue
        scores = dict(theirs)
        assert scores[found[0][0]] >= theirs[0][1] - slack
        known = [scores[d] for d, _ in found if d in scores]
        assert len(known) >= len(theirs) - 1
        assert all(one >= other - slack for one, other in itertools.pairwise(known))
