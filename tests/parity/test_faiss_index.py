"""Dense indexes against FAISS itself: the same files, and the same results in blocks as in one piece."""

import errno
import os
import shutil

import faiss
import numpy as np
import pytest

from repro.base.errors import InputError
from repro.base.files import folder_bytes, own_bytes
from repro.dense import stored
from repro.dense.indexing import build_index
from repro.dense.searching import DenseSearcher
from repro.formats.embeddings import read_embeddings, write_embeddings
from repro.formats.flat_vectors import append_batches
from repro.formats.runs import TIES
from repro.pipeline.merging import merge

DOCUMENTS, DIMENSIONS, QUERIES = 3000, 48, 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    rng = np.random.default_rng(5)
    for name, count in (("documents", DOCUMENTS), ("queries", QUERIES)):
        (folder / name).mkdir()
        vectors = rng.standard_normal((count, DIMENSIONS)).astype(np.float32)
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
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * DIMENSIONS)
    queries = np.load(folder / "queries.npy")
    scores, expected = theirs(folder, kind).search(queries, 100)
    found_scores, found = DenseSearcher(built(folder, kind), 2).search(queries, 100)
    assert np.array_equal(found, expected)
    assert np.allclose(found_scores, scores, atol=1e-6)


def test_more_hits_than_documents_and_ids_in_order(folder):
    results = dict(DenseSearcher(built(folder, "flat"), 2).search_all(folder / "queries", 5000))
    assert list(results) == [f"q{i}ü" for i in range(QUERIES)]
    assert all(len(result) == DOCUMENTS and "d2999ü" in result for result in results.values())


@pytest.mark.parametrize(("kind", "ties"), list(zip(("flat", "float16"), TIES)))
def test_indexes_of_parts_merge_into_what_one_finds(folder, tmp_path, kind, ties):
    vectors, paths = np.load(folder / "documents.npy").copy(), []
    vectors[1::7] = vectors[0]  # which tie, in all parts
    ids = np.array([f"d{i}" for i in range(DOCUMENTS)])
    for number, part in enumerate([slice(None), *(slice(start, None, 3) for start in range(3))]):
        encoded, index = tmp_path / f"encoded-{number}", tmp_path / f"index-{number}"
        encoded.mkdir()
        index.mkdir()
        write_embeddings(encoded, 0, ids[part].tolist(), np.ascontiguousarray(vectors[part]))
        build_index(encoded, index, kind, 1, len(ids[part]))
        paths.append(index)
    for k in (1, 150):
        one, *parts = (DenseSearcher(path, 1, ties=ties).search_all(folder / "queries", k) for path in paths)
        for (query, expected), found in zip(one, merge(paths[1:], parts, k, ties), strict=True):
            assert (query, list(expected.items())) == (found[0], list(found[1].items()))


def test_hnsw_finds_nearly_all_and_says_what_it_is(folder):
    queries = np.load(folder / "queries.npy")
    _, exact = theirs(folder, "flat").search(queries, 100)
    index = built(folder, "hnsw")
    assert isinstance(faiss.read_index(str(index / "index")), faiss.IndexHNSWFlat)
    _, found = DenseSearcher(index, 2).search(queries, 100)
    recall = np.mean([len(np.intersect1d(a, b)) / 100 for a, b in zip(exact, found)])
    assert recall > 0.95


@pytest.mark.parametrize("kind", ["flat", "float16", "hnsw"])
@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("rows", [1, 3, 10**6])
def test_documents_of_equal_vectors_are_ordered_by_docid_at_the_cut_as_well(
    tmp_path, kind, ties, rows, monkeypatch
):
    """200 documents of 8 different vectors, in no order of their ids; FAISS orders them by their rows."""
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * DIMENSIONS)
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((8, DIMENSIONS)).astype(np.float32)
    vectors = vectors.astype(np.float16).astype(np.float32)  # the same in all kinds
    which = rng.integers(8, size=200)
    docids = [f"d{number}" for number in rng.permutation(200)]
    queries = rng.standard_normal((5, DIMENSIONS)).astype(np.float32)
    for name, ids, part in (("documents", docids, vectors[which]), ("queries", list("abcde"), queries)):
        (tmp_path / name).mkdir()
        write_embeddings(tmp_path / name, 0, ids, part)
    (tmp_path / "index").mkdir()
    build_index(tmp_path / "documents", tmp_path / "index", kind, 2, 200)
    searcher = DenseSearcher(tmp_path / "index", 2, ties)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    for k in (1, 10, 150):
        found = [list(result) for _, result in searcher.search_all(tmp_path / "queries", k)]
        for scores, result in zip(exact, found):
            by_docid = sorted(range(200), key=docids.__getitem__, reverse=ties == "trec_eval")
            best = [docids[row] for row in sorted(by_docid, key=lambda row: -scores[which[row]])]
            if kind == "hnsw":  # which documents it finds is a matter of the graph, their order is not
                best = [docid for docid in best if docid in set(result)]
            assert result == best[:k]


def test_an_index_of_another_number_of_documents_is_not_built(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds 3,000 of 3,001 documents; was the folder changed\?"):
        build_index(folder / "documents", tmp_path, "flat", 1, DOCUMENTS + 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["flat", "float16", "hnsw"])
@pytest.mark.parametrize("file", ["index", "docid"])
@pytest.mark.parametrize("kept", [0, 20, 0.5, -1])
def test_a_cut_off_index_is_refused(folder, tmp_path, kind, file, kept):
    damaged = shutil.copytree(built(folder, kind), tmp_path / kind)
    content = (damaged / file).read_bytes()
    (damaged / file).write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"no FAISS index, or not whole|not as many of both"):
        DenseSearcher(damaged, 1)


@pytest.fixture(scope="module")
def encoded(folder):
    """The documents as ``repro.encode`` writes them: shard behind shard, in one file."""
    (folder / "encoded").mkdir()
    for batch in read_embeddings(folder / "documents"):
        append_batches(folder / "encoded", [batch])
    return folder / "encoded"


@pytest.mark.parametrize("links", [True, False], ids=["linked", "no links here"])
def test_a_flat_index_is_the_embeddings_file_as_faiss_would_write_it(
    folder, encoded, tmp_path, monkeypatch, links
):
    def refuse(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    counts = build_index(encoded, tmp_path, "flat", 2, DOCUMENTS)
    assert counts == {"documents": DOCUMENTS, "empty": 0}
    assert own_bytes(tmp_path) == (0 if links else folder_bytes(tmp_path))
    faiss.write_index(theirs(folder, "flat"), str(folder / "theirs"))
    for name in ("index", "docid"):
        made = tmp_path / name
        assert made.samefile(encoded / name) == links
        assert (
            made.read_bytes() == (encoded / name).read_bytes() == (built(folder, "flat") / name).read_bytes()
        )
    assert (tmp_path / "index").read_bytes() == (folder / "theirs").read_bytes()


@pytest.mark.parametrize("gone", ["embeddings", "index"])
def test_either_folder_may_be_deleted(folder, encoded, tmp_path, gone):
    embeddings, index = shutil.copytree(encoded, tmp_path / "embeddings"), tmp_path / "index"
    index.mkdir()
    build_index(embeddings, index, "flat", 2, DOCUMENTS)
    shutil.rmtree(tmp_path / gone)
    left = index if gone == "embeddings" else embeddings
    (ids, vectors), *rest = read_embeddings(left)
    assert len(ids) == DOCUMENTS and not rest
    assert np.array_equal(vectors, np.load(folder / "documents.npy"))
    queries = np.load(folder / "queries.npy")
    assert np.array_equal(
        DenseSearcher(left, 2).search(queries, 10)[1], theirs(folder, "flat").search(queries, 10)[1]
    )


def test_a_float16_index_of_one_file_is_that_of_shards(folder, encoded, tmp_path):
    build_index(encoded, tmp_path, "float16", 2, DOCUMENTS)
    for name in ("index", "docid"):
        assert (tmp_path / name).read_bytes() == (built(folder, "float16") / name).read_bytes()


def test_embeddings_that_are_no_whole_are_not_linked(encoded, tmp_path):
    damaged, index = shutil.copytree(encoded, tmp_path / "damaged"), tmp_path / "index"
    index.mkdir()
    (damaged / "docid").write_bytes((damaged / "docid").read_bytes()[:-9])
    with pytest.raises(InputError, match="docid is cut off"):
        build_index(damaged, index, "flat", 1, DOCUMENTS)
    with pytest.raises(InputError, match=r"holds 3,000 of 3,001 documents"):
        build_index(encoded, index, "flat", 1, DOCUMENTS + 1)
    assert not any(index.iterdir())
