"""A part of the sample against stored figures of the peers: float32 vectors, BM25 and impact runs.

``reference/make.py`` made them with Sentence Transformers, Anserini and Pyserini 1.6 alone. Nothing skips.
"""

import gzip
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


def test_bm25_run_is_pyserinis(reference, folder):
    ours = read_run(folder / "runs/run.part-test.bm25.trec")
    for query, theirs in reference["runs"]["bm25"].items():
        found = list(ours[query].items())[: len(theirs)]
        assert [docid for docid, _ in found] == [docid for docid, _ in theirs]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in theirs], atol=1e-3)


def test_impact_run_is_pyserinis(reference, folder):
    """To the last unit, with what impacts add that another processor rounds the other way."""
    ours = read_run(folder / "runs/run.part-test.splade-tiny.trec")
    encoded = folder / "work/encoded/part"
    documents, queries = (
        {vector.id: vector.vector for vector in read_vectors(encoded / name)}
        for name in ("splade-tiny", "splade-tiny.part-test.queries")
    )
    for query, theirs in reference["runs"]["impacts"].items():
        weights = impacts(reference["queries"][query])
        expected = {
            docid: round(score)
            + product(queries[query], documents[docid])
            - product(weights, impacts(reference["documents"][docid]))
            for docid, score in theirs
        }
        found = {docid: round(score) for docid, score in ours[query].items()}
        assert {docid: found[docid] for docid in expected} == expected
        ranked = sorted(expected, key=lambda docid: (-expected[docid], docid))
        assert [docid for docid in ours[query] if docid in expected] == ranked
        rest = [score for docid, score in found.items() if docid not in expected]
        changed = max(abs(expected[docid] - round(score)) for docid, score in theirs)
        assert max(rest) <= min(expected.values()) + 2 * changed  # no other document belongs among them


def impacts(weights):
    """Quantise as ``pyserini.encode`` does."""
    return {term: round(weight / 5 * 256) for term, weight in weights.items()}


def product(query, document):
    return sum(impact * document.get(term, 0) for term, impact in query.items())
