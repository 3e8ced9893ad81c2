"""Ties: on one index, the same documents at every rank as Pyserini finds, and the same figures of them."""

import pytest
from anserini import trec_eval
from conftest import LONG, copy_measured_sample, real_collection, run_here, succeed, write_beir

from repro.collections.opening import open_collection
from repro.formats.impact_vectors import read_vectors


def sample(folder):
    return "sample", None


def vaswani(folder):
    return str(real_collection("vaswani")), None


def msmarco_mini(folder):
    return str(real_collection("msmarco-mini")), "dl19"


def part_of_msmarco_mini(folder):
    """4,000 of its passages: those that are judged for 20 queries of DL 2019, and the first others."""
    source = open_collection(str(real_collection("msmarco-mini")), "dl19")
    qrels = dict(list(source.qrels().items())[:20])
    judged = {docid for judgments in qrels.values() for docid in judgments}
    passages = [(d.id, "", d.text) for d in source.documents()]
    passages.sort(key=lambda passage: passage[0] not in judged)
    queries = [query for query in source.queries() if query.id in qrels]
    judgments = [(query, docid, grade) for query, js in qrels.items() for docid, grade in js.items()]
    write_beir(folder / "part", passages[:4000], queries, judgments)
    return "part", None


@pytest.fixture
def folder(write, tmp_path_factory, tmp_path):
    """An empty folder; of the sample one in which it was measured."""
    return copy_measured_sample(tmp_path_factory, tmp_path / "sample") if write is sample else tmp_path


def name_of(write):
    return write.__name__


def search(folder, system, collection, split):
    """Encode, index and search, unless it is there; return the index and the run."""
    split = ["--split", split] if split else []
    stage = ["--collection", collection, *split, "--system", system]
    if system != "bm25":
        succeed("repro.encode", *stage, cwd=folder, by=run_here)
    index = succeed("repro.index", *stage, cwd=folder, by=run_here).strip()
    return folder / index, folder / succeed("repro.search", *stage, cwd=folder, by=run_here).strip()


def pyserini_search(folder, index, topics, *options):
    """Write topics and run ``pyserini.search.lucene``; return the run."""
    lines = "".join(f"{query}\t{text}\n" for query, text in topics)
    (folder / "topics.tsv").write_text(lines, encoding="utf-8")
    arguments = ["--topics", "topics.tsv", "--output", "pyserini.trec", "--hits", 1000]
    succeed("repro.pyserini", "search.lucene", "--index", index, *options, *arguments, cwd=folder)
    return folder / "pyserini.trec"


def rankings(run):
    """Return {query: [docid]} in the order of the file, which must be that of the rank column."""
    found = {}
    for line in run.read_text(encoding="utf-8").splitlines():
        query, _, docid, rank, _, _ = line.split()
        found.setdefault(query, []).append(docid)
        assert int(rank) == len(found[query])
    return found


def by_rank(run):
    """Write a run again with minus the rank for a score; return its path.

    Pyserini parts tied scores by a millionth each, of which nothing is left in a 32-bit float of 32 or more:
    trec_eval would order those documents by docid descending, against the file's own ranks.
    """
    path = run.with_suffix(".ranks")
    with open(path, "w", encoding="utf-8") as file:
        for line in run.read_text(encoding="utf-8").splitlines():
            query, _, docid, rank, _, tag = line.split()
            file.write(f"{query} Q0 {docid} {rank} -{rank} {tag}\n")
    return path


def figures(qrels, run):
    """Return all that Anserini's trec_eval prints, query by query, of measures that depend on the order."""
    measures = ["recip_rank", "map", "ndcg_cut.10", "recall.10,1000"]
    return trec_eval("-q", "-c", *(flag for measure in measures for flag in ("-m", measure)), qrels, run)


def compare(folder, collection, split, ours, theirs):
    """Assert equal rankings and figures; return the number of lines."""
    found, expected = rankings(ours), rankings(theirs)
    assert found.keys() == expected.keys()
    for query, docids in found.items():
        assert docids == expected[query], query
    qrels = folder / "qrels.txt"
    opened = open_collection(str(folder / collection) if collection == "part" else collection, split)
    qrels.write_text("".join(f"{q} 0 {d} {g}\n" for q, js in opened.qrels().items() for d, g in js.items()))
    printed = figures(qrels, ours)
    assert printed == figures(qrels, by_rank(theirs)) and "ndcg_cut_10" in printed
    return sum(map(len, found.values()))


@pytest.mark.parametrize(
    "write", [sample, *(pytest.param(write, marks=LONG) for write in (vaswani, msmarco_mini))], ids=name_of
)
def test_bm25_ranks_as_pyserini(write, folder):
    collection, split = write(folder)
    index, ours = search(folder, "bm25", collection, split)
    opened = open_collection(collection, split)
    judged = opened.qrels().keys()
    topics = [(query.id, query.text) for query in opened.queries() if query.id in judged]
    theirs = pyserini_search(folder, index, topics, "--bm25")
    assert compare(folder, collection, split, ours, theirs) > 10_000


@pytest.mark.parametrize(
    "write",
    [sample, *(pytest.param(write, marks=LONG) for write in (vaswani, part_of_msmarco_mini))],
    ids=name_of,
)
def test_impacts_rank_as_pyserini(write, folder):
    """Of the same query vectors: a term stands in the topic as often as its impact says."""
    collection, split = write(folder)
    index, ours = search(folder, "splade-tiny", collection, split)
    (queries,) = folder.glob("work/encoded/*/splade-tiny.*.queries")
    topics = [
        (vector.id, " ".join(" ".join([term] * impact) for term, impact in vector.vector.items()))
        for vector in read_vectors(queries)
    ]
    theirs = pyserini_search(folder, index, topics, "--impact", "--min-idf", "-1")
    assert compare(folder, collection, split, ours, theirs) > 10_000
