"""Lucene's indexes and what is found in them are held to FORMATS, as in tests/unit/test_formats.py."""

import hashlib

from conftest import DOCUMENTS, QUERIES

from repro.artifacts.graph import FORMATS
from repro.collections.model import Document
from repro.formats.impact_vectors import ImpactVector, shard_path, write_shard
from repro.formats.runs import write_run
from repro.lucene.indexing import Indexing, build_bm25_index, build_impact_index
from repro.lucene.searching import BatchSearcher, impact_query

POSTINGS = (2, "67f551c0fb746cc1f522ca56f62e4fe92b98b7df1dfd3500747d79b91f8c03c3")
"""Of an impact index: FORMATS["index"], and the SHA-256 of its terms' documents and impacts."""
BM25_RUN = (2, 2, "6247904aff2d61f715fe364f046af1ebaa5d0f9e5eb4fdf532777f3de8b806fa")
"""Of a run of BM25: FORMATS of index and search, and its SHA-256."""

SETTINGS = Indexing(threads=1, memory=256, store_raw=False, merge=True)
ADVICE = (
    "the same inputs give another index or run than before, or FORMATS has changed: if it is meant, raise "
    "the number in repro/artifacts/graph.py, so that older artifacts are made anew, and store here what is "
    "found"
)


def test_impact_index(tmp_path):
    encoded, index = tmp_path / "encoded", tmp_path / "index"
    encoded.mkdir()
    vectors = [
        ImpactVector("d1", "", {"tide": 3, "##s": 255, "ü": 1}),
        ImpactVector("d2", "", {"tide": 3, ",": 70_000}),
        ImpactVector("d3", "", {}),
    ]
    write_shard(shard_path(encoded, 0), vectors)
    assert build_impact_index(encoded, index, 3, SETTINGS, {}) == {"documents": 2, "empty": 1}
    terms = sorted({term for vector in vectors for term in vector.vector} | {"s", "tides"})
    with BatchSearcher(index, 1) as searcher:
        postings = dict(searcher.search_all(((term, impact_query({term: 1})) for term in terms), 10))
    found = hashlib.sha256(repr(postings).encode()).hexdigest()
    assert postings["tide"] == {"d1": 3.0, "d2": 3.0} and postings[","] == {"d2": 70_000.0}
    assert (FORMATS["index"], found) == POSTINGS, ADVICE


def test_bm25_run(tmp_path):
    documents = [Document(docid, f"{title} {text}".strip()) for docid, title, text in DOCUMENTS]
    build_bm25_index(iter(documents), tmp_path / "index", len(documents), SETTINGS)
    with BatchSearcher(tmp_path / "index", 1, (0.9, 0.4)) as searcher:
        write_run(tmp_path / "run", searcher.search_all(QUERIES, 10), "bm25")
    found = hashlib.sha256((tmp_path / "run").read_bytes()).hexdigest()
    assert (FORMATS["index"], FORMATS["search"], found) == BM25_RUN, ADVICE
