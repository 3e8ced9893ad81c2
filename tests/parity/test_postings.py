"""The compiled search of laid-out postings against the search of the Lucene index and the exact product."""

import contextlib
import random
import shutil
import subprocess
from unittest import mock

import numpy as np
import pytest
from conftest import REPOSITORY

from repro.base.errors import InputError
from repro.benchmarks.searching import SparseProduct
from repro.compiled import native
from repro.formats.impact_vectors import ImpactVector, write_shard
from repro.formats.runs import TIES, ranked
from repro.lucene import indexing
from repro.lucene.searching import BatchSearcher, impact_query
from repro.postings import compiled, layout
from repro.postings.building import build_postings
from repro.postings.searching import PostingsSearcher

DOCUMENTS, TERMS = 3 * layout.WINDOW + 500, 60
FREQUENT, LARGEST = 9, 2**31 - 1
DEPTHS = (1, 10, 1000, 10 * DOCUMENTS)


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Return the installed library, and one of plain C, as processors without AVX2 have it."""
    installed = next(native.libraries(), None)
    if installed is None or shutil.which("cc") is None:
        pytest.skip("there is no C compiler, or the library was not built")
    plain = tmp_path_factory.mktemp("plain") / "plain.so"
    flags = ["-O3", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-DPLAIN"]
    subprocess.run(["cc", *flags, REPOSITORY / "native/search.c", "-o", plain], check=True)
    assert not native.load(plain).search_with_avx2()
    yield installed, plain
    compiled._library.cache_clear()


@contextlib.contextmanager
def searching_with(library):
    with mock.patch.object(compiled, "libraries", return_value=[library]):
        compiled._library.cache_clear()
        assert compiled.unavailable() is None
        yield


def draw(rng: random.Random, documents: int, largest: int) -> list[ImpactVector]:
    """Return vectors of some frequent terms and some rare ones, with few different impacts: many tie."""
    frequent, rare = [f"f{i}" for i in range(FREQUENT)], [f"t{i}" for i in range(TERMS)]
    shares = [rng.choice((0.05, 0.2, 0.6)) for _ in frequent]
    vectors = []
    for number in range(documents):
        terms = [term for term, share in zip(frequent, shares) if rng.random() < share]
        terms += rng.sample(rare, 2)
        if number % 6000 == 7:  # fewer than there are windows
            terms.append("seldom")
        impacts = {"every": 1, **{term: rng.choice((1, 2, 3, largest)) for term in terms}}
        vectors.append(ImpactVector(f"d{rng.getrandbits(40)}-{number}", "", impacts))
    return vectors


def asked(rng: random.Random, largest: int) -> list[dict[str, int]]:
    terms = [*(f"f{i}" for i in range(FREQUENT)), *(f"t{i}" for i in range(TERMS)), "seldom", "nowhere"]
    drawn = [{t: rng.randint(1, largest) for t in rng.sample(terms, rng.randint(1, 14))} for _ in range(12)]
    every = dict.fromkeys(terms, largest)
    return [*drawn, every, {"seldom": 1}, {"nowhere": 3}, {"f0": 1, "f1": 1}, {"t0": 1}, {"every": 1}, {}]


def indexes(folder, vectors, settings):
    """Index vectors, and lay the postings out."""
    (folder / "vectors").mkdir()
    for shard in range(2):  # so that --no-merge with threads leaves several segments
        write_shard(folder / f"vectors/part-{shard:05d}.jsonl.gz", vectors[shard::2])
    for name in ("index", "postings"):
        (folder / name).mkdir()
    indexing.build_impact_index(folder / "vectors", folder / "index", len(vectors), settings, {})
    counts = build_postings(folder / "index", folder / "postings")
    assert counts == {"documents": len(vectors), "postings": sum(len(v.vector) for v in vectors)}
    return folder / "index", folder / "postings"


def assert_same_rankings(builds, index, postings, queries, k, threads=2, ties=TIES[0]):
    built = [impact_query(query) for query in queries]
    with BatchSearcher(index, 1, ties=ties) as lucene:
        expected, results = list(lucene.search(built, k)), list(lucene.search_all(zip("abc", built), k))
    for library in builds:
        with searching_with(library), PostingsSearcher(postings, threads, ties) as ours:
            assert ours.documents == lucene.documents
            for theirs, found in zip(expected, ours.search(built, k), strict=True):
                assert found.docids == theirs.docids
                np.testing.assert_array_equal(found.scores, theirs.scores)
            assert list(ours.search_all(zip("abc", built), k)) == results


@pytest.mark.parametrize("settings", [indexing.Indexing(2), indexing.Indexing(2, merge=False)], ids=str)
def test_rankings_are_lucenes_and_the_exact_products(builds, tmp_path, settings):
    rng = random.Random(3)
    index, postings = indexes(tmp_path, draw(rng, DOCUMENTS, 9), settings)
    kinds = layout.read(postings).arrays["kind"]
    assert set(kinds) == {layout.ROW, layout.LIST, layout.PAIRS}
    queries, product = asked(rng, 20), SparseProduct(tmp_path / "vectors")
    for k in DEPTHS:
        for ties in TIES:
            assert_same_rankings(builds, index, postings, queries, k, ties=ties)
        with searching_with(builds[0]), PostingsSearcher(postings, 2) as searcher:
            found = searcher.search([impact_query(query) for query in queries], k)
            for query, ranking in zip(queries, found):
                exact = ranked(product.search(query, k) if query else {})[:k]
                assert ranking.docids == [docid for docid, _ in exact]
                assert ranked(ranking.results()) == exact


@pytest.mark.parametrize("largest", [256, 70_000, LARGEST // 40])
@pytest.mark.parametrize("weight", [1, 300, LARGEST])
def test_sums_beyond_16_24_and_32_bits(builds, tmp_path, largest, weight):
    rng = random.Random(largest + weight)
    index, postings = indexes(tmp_path, draw(rng, 5000, largest), indexing.Indexing(1))
    for k in (1, 30, 5000):
        assert_same_rankings(builds, index, postings, asked(rng, weight), k, 1)


@pytest.mark.parametrize("documents", [1, 2, 9, layout.WINDOW - 1, layout.WINDOW, layout.WINDOW + 1])
def test_few_documents_and_whole_windows(builds, tmp_path, documents):
    rng = random.Random(documents)
    index, postings = indexes(tmp_path, draw(rng, documents, 255), indexing.Indexing(1))
    for k in (1, 3, documents, documents + 1):
        assert_same_rankings(builds, index, postings, asked(rng, 200), k)


def test_ids_of_any_letters_tie_in_the_order_of_their_bytes(builds, tmp_path):
    ids = ["é", "e", "z", "潮", "𝔘", "\uffff", "10", "9", "a b", "a"]
    vectors = [ImpactVector(docid, "", {"t": 5, "潮汐": 1}) for docid in ids]
    index, postings = indexes(tmp_path, vectors, indexing.Indexing(1))
    for ties in TIES:
        for k in (1, 4, 10):
            assert_same_rankings(builds, index, postings, [{"t": 1}, {"潮汐": 3}], k, ties=ties)


def test_an_index_without_a_document(builds, tmp_path):
    index, postings = indexes(tmp_path, [], indexing.Indexing(1))
    assert_same_rankings(builds, index, postings, [{"t": 1}, {}], 10)


def test_damaged_postings_are_refused(tmp_path):
    _, postings = indexes(tmp_path, draw(random.Random(1), 50, 9), indexing.Indexing(1))

    def refused(reason):
        with pytest.raises(InputError, match=rf"no postings that can be read: .*{reason}.*--postings"):
            layout.read(postings)

    for name, other, reason in [
        ("start.npy", lambda array: array + 64, "a list goes beyond"),
        ("kind.npy", lambda array: array + 7, "a list goes beyond"),
        ("count.npy", lambda array: array[1:], "lists do not belong together"),
        ("docid.npy", lambda array: array[::-1], "ids are not in their places"),
        ("rank.npy", lambda array: array + 1, "ids are not in their places"),
    ]:
        whole = (postings / name).read_bytes()
        np.save(postings / name, np.ascontiguousarray(other(np.load(postings / name))))
        refused(reason)
        (postings / name).write_bytes(b"")
        refused("")
        (postings / name).write_bytes(whole)
    (postings / "terms.json").write_text("3")
    refused("lists do not belong together")
    with open(postings / "lists.bin", "r+b") as file:
        file.truncate(64)
    refused(r"lists\.bin is cut short")
    (postings / "rank.npy").unlink()
    refused(r"rank\.npy")
    (postings / "layout.json").unlink()
    refused(r"layout\.json is missing")
