"""Lucene at its limits, and with what it cannot take: it works, or one sentence says why not."""

import shutil

import pytest

from repro.base.errors import InputError
from repro.collections.model import Document
from repro.formats.impact_vectors import ImpactVector, write_shard
from repro.lucene import indexing
from repro.lucene.searching import BatchSearcher, impact_query

SETTINGS = indexing.Indexing(threads=1)
BM25 = (0.9, 0.4)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """An index of 200 texts: docNNN holds tide once, moon NNN mod 3 times."""
    index = tmp_path_factory.mktemp("texts") / "index"
    documents = [Document(f"doc{i:03d}", "tide" + " moon" * (i % 3)) for i in range(200)]
    indexing.build_bm25_index(documents, index, len(documents), SETTINGS)
    return index


@pytest.fixture(scope="module")
def impacts(tmp_path_factory):
    """The same of impacts."""
    folder = tmp_path_factory.mktemp("impacts")
    vectors = [ImpactVector(f"doc{i:03d}", "", {"tide": 1, "moon": 1 + i % 3}) for i in range(200)]
    return index_vectors(folder, vectors)


def index_vectors(folder, vectors):
    (folder / "vectors").mkdir()
    write_shard(folder / "vectors/part-00000.jsonl.gz", vectors)
    indexing.build_impact_index(folder / "vectors", folder / "index", len(vectors), SETTINGS, {})
    return folder / "index"


def search(index, query, k, bm25=None, ties="anserini"):
    with BatchSearcher(index, 1, bm25, ties) as searcher:
        (ranking,) = searcher.search([query], k)
    return ranking.docids


def test_a_query_of_70_000_terms_is_searched_whole(texts):
    """Its last term counts, and 70,000 are more than Lucene's greatest number of clauses by default."""
    words = [f"w{i}" for i in range(70_000)]
    assert search(texts, " ".join([*words, "moon"]), 1, BM25) == search(texts, "moon", 1, BM25)
    assert search(texts, " ".join(words), 10, BM25) == []


def test_500_million_hits_are_all_hits(texts, impacts):
    assert len(search(texts, "tide", 500_000_000, BM25)) == 200
    assert len(search(texts, "moon", 500_000_000, BM25)) == 133
    query = impact_query({"tide": 2})
    assert search(impacts, query, 500_000_000) == search(impacts, query, 200)


@pytest.mark.parametrize("k", [1, 10, 70, 200])
def test_ties_go_by_docid_at_the_cut_too(texts, impacts, k):
    every = [f"doc{i:03d}" for i in range(200)]
    most = [docid for i, docid in enumerate(every) if i % 3 == 2]
    some = [docid for i, docid in enumerate(every) if i % 3 == 1]
    none = [docid for i, docid in enumerate(every) if i % 3 == 0]
    for ties, sign in (("anserini", 1), ("trec_eval", -1)):
        expected = most[::sign] + some[::sign] + none[::sign]
        assert search(impacts, impact_query({"moon": 3}), k, ties=ties) == expected[:k]
        assert search(texts, "moon", k, BM25, ties) == (most[::sign] + some[::sign])[:k]


@pytest.mark.parametrize("damage", ["cut", "emptied", "removed"])
def test_a_damaged_index_is_named_in_one_sentence(texts, tmp_path, damage):
    for name in sorted(path.name for path in texts.iterdir() if path.name != "write.lock"):
        copy = tmp_path / name
        shutil.copytree(texts, copy)
        if damage == "removed":
            (copy / name).unlink()
        else:
            with open(copy / name, "r+b") as file:
                file.truncate(0 if damage == "emptied" else (copy / name).stat().st_size // 2)
        with pytest.raises(InputError) as refusal:
            search(copy, "moon", 10, BM25)
        assert_plain(str(refusal.value), f"{copy} is no Lucene index that can be read: ")
        assert "build it with python -m repro.index" in str(refusal.value)


def assert_plain(sentence, beginning):
    assert sentence.startswith(beginning)
    assert not any(word in sentence for word in ("Exception", "java.", "org.apache", "\n", "resource="))


def test_what_is_no_index_is_named_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    missing, empty = "there is no such folder", "there is no index in this folder"
    for name, reason in (("file", missing), ("empty", empty), ("missing", missing)):
        for use in (lambda path: search(path, "moon", 1, BM25), indexing.commit_manifest):
            with pytest.raises(InputError) as refusal:
                use(tmp_path / name)
            assert_plain(
                str(refusal.value), f"{tmp_path / name} is no Lucene index that can be read: {reason}"
            )


@pytest.mark.parametrize(
    "vector",
    [
        ImpactVector("sum", "", {"tide": 2**31 - 1, "moon": 2**31 - 1}),
        ImpactVector("d" * 40_000, "", {"tide": 1}),
        ImpactVector("term", "", {"t" * 40_000: 1}),
    ],
    ids=["sum", "id", "term"],
)
def test_a_record_beyond_lucenes_limits_is_named_by_file_and_line(vector, tmp_path):
    good = ImpactVector("good", "", {"tide": 3})
    with pytest.raises(InputError) as refusal:
        index_vectors(tmp_path, [good, good._replace(id="too"), vector])
    assert_plain(str(refusal.value), f"indexing {tmp_path / 'vectors'}: ")
    assert "part-00000.jsonl.gz, line 3: expected" in str(refusal.value)
