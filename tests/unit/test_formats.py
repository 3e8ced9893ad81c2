"""Outputs are held to FORMATS: what changes a stage's bytes for the same inputs must raise its number.

Else artifacts that were made before the change would count as current after it, and a table would mix them.
Lucene's indexes are held in tests/pipeline/test_index_formats.py, which needs a JVM.
"""

import gzip
import hashlib

import numpy as np
import pytest
from conftest import DOCUMENTS, QUERIES

from repro.artifacts.graph import FORMATS
from repro.cli.options import EncodingOptions
from repro.collections.model import Document, Query
from repro.dense.indexing import build_index
from repro.engines.dense import DenseWriter
from repro.engines.splade import SpladeWriter
from repro.formats.ciff import PostingsList
from repro.formats.embeddings import read_embeddings, write_embeddings
from repro.formats.runs import write_run
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.postings import layout

SHARDS = {
    "documents": (2, "b9f4a75e65ab43bf0a2fc742919a7df00ee2b040810d82bb65afe03f922cfeb0"),
    "queries": (2, "8e2d6d1774884648241c468cb8743d532895e930ed176ee3ba107b2bc9676ad7"),
}
"""Of splade-tiny's shards: FORMATS["encode"], and the SHA-256 of what they inflate to."""
EMBEDDINGS = (
    2,
    [
        [-0.017018, 0.014543, 0.1126, 0.048671, -0.072173, 0.010071],
        [-0.055494, 0.008526, 0.08656, 0.015088, 0.005002, 0.046412],
    ],
)
"""Of all-minilm-l6-v2's: the first numbers of the first document and the first query."""
INDEXES = {
    "flat": (2, "a897fa8f134e1710b68ce6f4091924a16e9e488a36e9e7cc3f45db511683ea99"),
    "float16": (2, "98a73d86b9a4ca0bbb25786a91fb9f011c10b1e48183cee6052c9a0477e10694"),
}
"""Of FAISS indexes: FORMATS["index"], and the SHA-256 of their files."""
POSTINGS = (1, "004d491cf00c380f34094574e15a6c320d1ca75751da293d60652267dbc22d2e")
"""Of laid-out postings: FORMATS["postings"], and the SHA-256 of their files."""
RUNS = {
    "anserini": (2, "5c831cb02f7891d2629cc595328338501621f5fd0fd7d6c6d6ea4e649df7b9e2"),
    "trec_eval": (2, "fc87bcf67061931523f35256630e43bb251dc0c6de09411f834308f20525f76c"),
}
"""Of run files: FORMATS["search"], and their SHA-256."""

TEXTS = {
    "documents": [Document(docid, f"{title} {text}".strip()) for docid, title, text in DOCUMENTS],
    "queries": [Query(*query) for query in QUERIES],
}


def stated(stage, found):
    """Return what a test compares with what it has stored, and what to do if they differ."""
    return (FORMATS[stage], found), (
        f"what {stage} makes of the same inputs has changed, or FORMATS[{stage!r}]: if it is meant, raise "
        f"FORMATS[{stage!r}] in repro/artifacts/graph.py, so that older artifacts are made anew, and store "
        f"({FORMATS[stage]}, {found!r}) in this test"
    )


def sha256(*contents):
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


@pytest.fixture(scope="module")
def splade():
    system = find_system("splade-tiny")
    return SpladeWriter(system, resolve(system), EncodingOptions(), threads=1)


@pytest.mark.parametrize("part", ["documents", "queries"])
def test_impact_vectors(splade, tmp_path, part):
    texts = TEXTS[part]
    weights = splade.encoder.encode([text for _, text in texts]).data.astype(np.float64) * 256 / 5
    assert np.abs(weights - np.floor(weights) - 0.5).min() > 1e-4  # no kernel or version rounds one otherwise
    splade.write(tmp_path, 0, [texts], part)
    found, cure = stated("encode", sha256(gzip.decompress(splade.files(tmp_path, 0)[0].read_bytes())))
    assert found == SHARDS[part], cure


def test_embeddings(tmp_path):
    system = find_system("all-minilm-l6-v2")
    writer = DenseWriter(system, resolve(system), threads=1)
    found = []
    for part, texts in TEXTS.items():
        (tmp_path / part).mkdir()
        writer.write(tmp_path / part, 0, [texts], part)
        ((ids, vectors),) = read_embeddings(tmp_path / part)
        assert ids == [text.id for text in texts] and vectors.shape == (len(texts), 384)
        assert vectors.dtype == np.float32
        found.append(np.array(vectors[0, :6]))
    number, expected = EMBEDDINGS
    as_before = np.allclose(found, expected, atol=1e-5)  # float32 sums differ in their last bits
    found, cure = stated("encode", expected if as_before else np.round(found, 6).tolist())
    assert found == (number, expected), cure


@pytest.mark.parametrize("kind", ["flat", "float16"])
def test_faiss_indexes(tmp_path, kind):
    encoded, index = tmp_path / "encoded", tmp_path / "index"
    encoded.mkdir()
    index.mkdir()
    write_embeddings(encoded, 0, ["a", "b"], np.arange(16, dtype=np.float32).reshape(2, 8) / 3)
    write_embeddings(encoded, 1, ["ü"], np.full((1, 8), -0.7, dtype=np.float32))
    build_index(encoded, index, kind, 1, 3)
    found, cure = stated("index", sha256(*(path.read_bytes() for path in sorted(index.iterdir()))))
    assert found == INDEXES[kind], cure


def test_postings(tmp_path):
    documents = 9 * layout.WINDOW
    numbers = [np.arange(0, documents, step, np.int32) for step in (3, 1000, 20_000)]
    lists = [PostingsList(f"t{n.size}", n, 1 + n % 200) for n in numbers]
    kinds = [layout.ROW, layout.LIST, layout.PAIRS]
    docids = [f"d{7 * number % documents}".encode() for number in range(documents)]
    layout.write(tmp_path, documents, lists, docids)
    assert layout.read(tmp_path).arrays["kind"].tolist() == kinds
    files = sorted(tmp_path.iterdir())
    found, cure = stated("postings", sha256(*(path.name.encode() + path.read_bytes() for path in files)))
    assert found == POSTINGS, cure


@pytest.mark.parametrize("ties", ["anserini", "trec_eval"])
def test_runs(tmp_path, ties):
    results = [
        ("q1", {"d2": 2.0, "d10": 2.0, "d1": 2.0, "d3": 7.25}),
        ("q2", {"ü": 0.1, "z": 1e-9, "a": 16777217.0, "b": -3.5}),
        ("q3", {}),
    ]
    write_run(tmp_path / "run", results, "tag", ties)
    found, cure = stated("search", sha256((tmp_path / "run").read_bytes()))
    assert found == RUNS[ties], cure
