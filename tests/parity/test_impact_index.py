"""This project's indexer against Anserini's: the same documents, fields, norms, postings and runs."""

import gzip
import json
import random
import shutil

import pytest
from conftest import real_collection, refused, run_here, succeed, write_beir

from repro.base.errors import InputError
from repro.benchmarks.searching import SparseProduct
from repro.collections.opening import open_collection
from repro.formats.impact_vectors import ImpactVector, write_shard
from repro.formats.runs import ranked
from repro.lucene import indexing
from repro.lucene.searching import BatchSearcher, impact_query

ODD = [
    ImpactVector("plain", "two words", {"moon": 17, "tide": 255, "##s": 1}),
    ImpactVector("signs", "", {'"': 3, "\\": 4, "|": 5, ",": 6, ":": 7, "}": 8, "{": 9}),
    ImpactVector("潮汐/ü:1", "\u2028", {"潮": 12, "é": 1, "𝔘": 70_000}),
    ImpactVector("empty", "no term", {}),
    ImpactVector("one", "", {"moon": 1}),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    (folder / "vectors").mkdir()
    write_shard(folder / "vectors/part-00000.jsonl.gz", ODD)
    with gzip.open(folder / "vectors/part-00001.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"id":"real","contents":"\\n","vector":{"moon":2.9,"sun":0.4,"tide":0,"ebb":-3}}\n\n')
        file.write(
            '  { "vector" : {"a\\u0301" : 5 } , "more": [1, {"x": "]}"}, null], "id" : "spaced \\u00fc"}'
        )
    return folder


def build(folder, name, settings, indexer="build_impact_index", documents=7):
    index = folder / name
    shutil.rmtree(index, ignore_errors=True)
    index.mkdir()
    manifest = [{"made": "by a test"}] if indexer == "build_impact_index" else []
    return index, getattr(indexing, indexer)(folder / "vectors", index, documents, settings, *manifest)


@pytest.mark.parametrize("store_raw", [False, True])
@pytest.mark.parametrize("merge", [False, True])
def test_odd_vectors_make_the_same_index_as_anserinis(odd, store_raw, merge):
    settings = indexing.Indexing(2, store_raw=store_raw, merge=merge)
    theirs, their_counts = build(odd, "theirs", settings, "build_impact_index_with_anserini")
    ours, counts = build(odd, "ours", settings)
    assert counts == their_counts == {"documents": 6, "empty": 1}
    postings, differences = indexing.compare_indexes(theirs, ours)
    assert differences == [] and postings > 15


def test_the_comparison_sees_a_single_impact(odd, tmp_path):
    settings = indexing.Indexing(1)
    ours, _ = build(odd, "ours", settings)
    shutil.copytree(odd / "vectors", tmp_path / "vectors")
    changed = [v if v.id != "plain" else v._replace(vector={**v.vector, "tide": 254}) for v in ODD]
    write_shard(tmp_path / "vectors/part-00000.jsonl.gz", changed)
    other, _ = build(tmp_path, "other", settings)
    _, differences = indexing.compare_indexes(ours, other)
    assert any("contents:tide" in difference for difference in differences)
    assert any("total terms" in difference for difference in differences)


def test_the_manifest_is_in_the_commit(odd):
    ours, _ = build(odd, "ours", indexing.Indexing(1))
    theirs, _ = build(odd, "theirs", indexing.Indexing(1), "build_impact_index_with_anserini")
    assert indexing.commit_manifest(ours) == {"made": "by a test"}
    assert indexing.commit_manifest(theirs) is None


def test_what_anserini_only_logs_is_told(tmp_path):
    (tmp_path / "vectors").mkdir()
    good = '{"id": "g", "contents": "", "vector": {"moon": 3}}'
    (tmp_path / "vectors/part.jsonl").write_text(good + '\n{"id": "x", "vector": {"a":\n')
    told = r"indexed \d of 2 documents of .*vectors .* committed \d: .*Unexpected end-of-input.*; run it"
    with pytest.raises(InputError, match=told):
        build(tmp_path, "i", indexing.Indexing(1), "build_impact_index_with_anserini", documents=2)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (2, '{"id": "x", "vector": {"a": 1}'),
        (3, '{"id": "x", "vector": {"a": "one"}}'),
        (2, '{"id": "x"}'),
        (2, '{"vector": {"a": 1}}'),
        (3, '["id", "x"]'),
        (2, '{"id": "x", "vector": {"a": 1}} trailing'),
    ],
)
def test_a_bad_record_is_named_by_file_and_line(tmp_path, line, text):
    (tmp_path / "vectors").mkdir()
    good = '{"id": "g%d", "contents": "", "vector": {"moon": 3}}'
    lines = [good % i for i in range(1, 4)]
    lines[line - 1] = text
    with gzip.open(tmp_path / "vectors/part-00000.jsonl.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"part-00000\.jsonl\.gz, line {line}(?!\d).*: expected {{\"id\""):
        build(tmp_path, "index", indexing.Indexing(2), documents=3)


def test_a_shard_that_is_cut_off_is_named(tmp_path):
    (tmp_path / "vectors").mkdir()
    path = tmp_path / "vectors/part-00000.jsonl.gz"
    rng = random.Random(1)
    write_shard(path, [ImpactVector(str(i), "", {str(rng.random()): 3}) for i in range(2000)])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(
        InputError, match=r"part-00000\.jsonl\.gz: cannot be decompressed .*; encode it again"
    ):
        build(tmp_path, "index", indexing.Indexing(2), documents=2000)


def test_runs_on_either_index_are_the_same_bytes(tmp_path):
    """With --indexer; vaswani's first passages, so that there are many ties."""
    vaswani = open_collection(str(real_collection("vaswani")))
    documents = [(d.id, "", d.text) for d, _ in zip(vaswani.documents(), range(800))]
    known = {identifier for identifier, _, _ in documents}
    qrels = [(q, d, g) for q, judged in vaswani.qrels().items() for d, g in judged.items() if d in known]
    queries = [query for query in vaswani.queries() if query.id in {q for q, _, _ in qrels}]
    write_beir(tmp_path / "some", documents, queries, qrels)
    stage = ["--collection", "some", "--system", "splade-tiny"]
    succeed("repro.encode", *stage, cwd=tmp_path, by=run_here)
    runs = {}
    for indexer in ("repro", "anserini"):
        index = (
            tmp_path / succeed("repro.index", *stage, "--indexer", indexer, cwd=tmp_path, by=run_here).strip()
        )
        built = json.loads(index.with_name(f"{index.name}.manifest.json").read_text())["built"]
        assert built["indexer"] == indexer
        run = tmp_path / succeed("repro.search", *stage, "--force", cwd=tmp_path, by=run_here).strip()
        runs[indexer] = run.read_bytes()
        shutil.copytree(index, tmp_path / indexer)
    assert runs["repro"] == runs["anserini"] and runs["repro"].count(b"\n") > 20_000
    assert indexing.compare_indexes(tmp_path / "repro", tmp_path / "anserini")[1] == []


TERMS = [f"t{i}" for i in range(40)]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder with vectors of 150,000 documents of few terms, and what computes their exact product."""
    folder, rng = tmp_path_factory.mktemp("many"), random.Random(7)
    (folder / "vectors").mkdir()
    for shard in range(2):
        drawn = (
            ImpactVector(f"d{shard}{i}", "", {t: rng.randint(1, 9) for t in rng.sample(TERMS, 4)})
            for i in range(75_000)
        )
        write_shard(folder / f"vectors/part-{shard:05d}.jsonl.gz", drawn)
    return folder, SparseProduct(folder / "vectors")


@pytest.mark.parametrize("threads", [1, 3])
def test_ranking_is_exact_over_many_windows_and_ties(many, threads):
    """Hundreds tie at every cut, in three of the scorer's windows."""
    (folder, product), rng = many, random.Random(8)
    index, _ = build(folder, "index", indexing.Indexing(threads), documents=150_000)
    queries = [{t: rng.randint(1, 5) for t in rng.sample(TERMS, 3)} for _ in range(6)]
    queries += [{"nowhere": 3}, {"t0": 1}, {}]
    for k in (1, 10, 1000):
        with BatchSearcher(index, threads) as searcher:
            found = searcher.search([impact_query(query) for query in queries], k)
            for query, ranking in zip(queries, found):
                exact = ranked(product.search(query, k) if query else {})[:k]
                assert ranked(ranking.results()) == exact
                assert ranking.docids == [docid for docid, _ in exact]


def test_max_query_terms_keeps_the_strongest(measured_sample):
    run = "run.sample.splade-tiny.trec"
    whole = (measured_sample / "runs" / run).read_bytes()
    for terms in (2, 10_000):
        options = ["--max-query-terms", terms, "--runs", f"runs-{terms}"]
        succeed("repro.table", "--systems", "splade-tiny", *options, cwd=measured_sample, by=run_here)
    assert (measured_sample / "runs-10000" / run).read_bytes() == whole
    assert 0 < (measured_sample / "runs-2" / run).stat().st_size < len(whole)


def test_memory_that_no_jvm_starts_with_is_refused(tmp_path):
    message = refused("repro.index", "--system", "splade-tiny", "--memory", "100", cwd=tmp_path)
    assert "--memory: 100 MB" in message and "256" in message
