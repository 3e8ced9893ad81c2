"""Ties: on one index, the same documents at every rank as Pyserini finds, and the same figures of them."""

import subprocess

import pytest
from conftest import LONG, real_collection, succeed, write_beir

from repro.collections.opening import open_collection
from repro.formats.impact_vectors import read_vectors
from repro.lucene.java import anserini_jar, find_java


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


def name_of(write):
    return write.__name__


def search(folder, system, collection, split):
    """Encode, index and search; return the index and the run."""
    split = ["--split", split] if split else []
    stage = ["--collection", collection, *split, "--system", system]
    if system != "bm25":
        succeed("repro.encode", *stage, cwd=folder)
    index = succeed("repro.index", *stage, cwd=folder).strip()
    return folder / index, folder / succeed("repro.search", *stage, cwd=folder).strip()


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


def trec_eval(qrels, run):
    """Return all that Anserini's trec_eval prints, query by query, of measures that depend on the order."""
    java, measures = find_java().home / "bin" / "java", ["recip_rank", "map", "ndcg_cut.10", "recall.10,1000"]
    flags = ["-q", "-c", *(flag for measure in measures for flag in ("-m", measure))]
    command = [java, "-cp", anserini_jar(), "trec_eval", *flags, qrels, run]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def compare(folder, collection, split, ours, theirs):
    """Assert equal rankings and figures; return the number of lines."""
    found, expected = rankings(ours), rankings(theirs)
    assert found.keys() == expected.keys()
    for query, docids in found.items():
        assert docids == expected[query], query
    qrels = folder / "qrels.txt"
    opened = open_collection(str(folder / collection) if collection == "part" else collection, split)
    qrels.write_text("".join(f"{q} 0 {d} {g}\n" for q, js in opened.qrels().items() for d, g in js.items()))
    printed = trec_eval(qrels, ours)
    assert printed == trec_eval(qrels, by_rank(theirs)) and "ndcg_cut_10" in printed
    return sum(map(len, found.values()))


@pytest.mark.parametrize(
    "write", [sample, *(pytest.param(write, marks=LONG) for write in (vaswani, msmarco_mini))], ids=name_of
)
def test_bm25_ranks_as_pyserini(write, tmp_path):
    collection, split = write(tmp_path)
    index, ours = search(tmp_path, "bm25", collection, split)
    opened = open_collection(collection, split)
    judged = opened.qrels().keys()
    topics = [(query.id, query.text) for query in opened.queries() if query.id in judged]
    theirs = pyserini_search(tmp_path, index, topics, "--bm25")
    assert compare(tmp_path, collection, split, ours, theirs) > 10_000


@pytest.mark.parametrize(
    "write",
    [sample, *(pytest.param(write, marks=LONG) for write in (vaswani, part_of_msmarco_mini))],
    ids=name_of,
)
def test_impacts_rank_as_pyserini(write, tmp_path):
    """Of the same query vectors: a term stands in the topic as often as its impact says."""
    collection, split = write(tmp_path)
    index, ours = search(tmp_path, "splade-tiny", collection, split)
    (queries,) = tmp_path.glob("work/encoded/*/splade-tiny.*.queries")
    topics = [
        (vector.id, " ".join(" ".join([term] * impact) for term, impact in vector.vector.items()))
        for vector in read_vectors(queries)
    ]
    theirs = pyserini_search(tmp_path, index, topics, "--impact", "--min-idf", "-1")
    assert compare(tmp_path, collection, split, ours, theirs) > 10_000
