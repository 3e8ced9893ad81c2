"""Dense indexes against FAISS itself: the same files, and the same results a block at a time as in one piece."""

import faiss
import numpy as np
import pytest

from repro.dense import searching
from repro.dense.indexing import build_index
from repro.dense.searching import DenseSearcher
from repro.formats.embeddings import write_embeddings

DOCUMENTS, DIMENSIONS, QUERIES = 3000, 48, 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    chance = np.random.default_rng(5)
    for name, count in (("documents", DOCUMENTS), ("queries", QUERIES)):
        (folder / name).mkdir()
        vectors = chance.standard_normal((count, DIMENSIONS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = [f"{name[0]}{i}ü" for i in range(count)]
        for number, start in enumerate(range(0, count, 1100)):
            part = slice(start, start + 1100)
            write_embeddings(folder / name, number, ids[part], vectors[part])
        np.save(folder / f"{name}.npy", vectors)
    return folder


def built(folder, kind):
    index = folder / kind
    index.mkdir(exist_ok=True)
    assert build_index(folder / "documents", index, kind, 2, DOCUMENTS) == {
        "documents": DOCUMENTS,
        "empty": 0,
    }
    return index


def theirs(folder, kind):
    if kind == "flat":
        index = faiss.IndexFlatIP(DIMENSIONS)
    else:
        fp16 = faiss.ScalarQuantizer.QT_fp16
        index = faiss.IndexScalarQuantizer(DIMENSIONS, fp16, faiss.METRIC_INNER_PRODUCT)
    vectors = np.load(folder / "documents.npy")
    index.train(vectors)
    index.add(vectors)
    return index


@pytest.mark.parametrize("kind", ["flat", "float16"])
def test_file_is_what_faiss_would_write(folder, kind):
    faiss.write_index(theirs(folder, kind), str(folder / "theirs"))
    assert (built(folder, kind) / "index").read_bytes() == (folder / "theirs").read_bytes()


@pytest.mark.parametrize("kind", ["flat", "float16"])
@pytest.mark.parametrize("rows", [1, 17, 1000, 10**6])
def test_blocks_from_the_disk_find_what_one_index_finds(folder, kind, rows, monkeypatch):
    monkeypatch.setattr(searching, "BLOCK_BYTES", rows * 4 * DIMENSIONS)
    queries = np.load(folder / "queries.npy")
    scores, expected = theirs(folder, kind).search(queries, 100)
    found_scores, found = DenseSearcher(built(folder, kind), 2).search(queries, 100)
    assert np.array_equal(found, expected)
    assert np.allclose(found_scores, scores, atol=1e-6)


def test_more_hits_than_documents_and_ids_in_order(folder):
    results = dict(DenseSearcher(built(folder, "flat"), 2).search_all(folder / "queries", 5000))
    assert list(results) == [f"q{i}ü" for i in range(QUERIES)]
    assert all(len(result) == DOCUMENTS and "d2999ü" in result for result in results.values())


def test_hnsw_finds_nearly_all_and_says_what_it_is(folder):
    queries = np.load(folder / "queries.npy")
    _, exact = theirs(folder, "flat").search(queries, 100)
    index = built(folder, "hnsw")
    assert isinstance(faiss.read_index(str(index / "index")), faiss.IndexHNSWFlat)
    _, found = DenseSearcher(index, 2).search(queries, 100)
    recall = np.mean([len(np.intersect1d(a, b)) / 100 for a, b in zip(exact, found)])
    assert recall > 0.95
