"""The library's indexes, searchers and evaluation, on real Java; and every example of docs/library.md."""

import re
import threading

import numpy as np
import pytest
from conftest import REPOSITORY, run

from repro import Index, InputError, Searcher, SpladeEncoder, evaluate_run
from repro.collections.opening import open_collection
from repro.formats.impact_vectors import ImpactVector, shard_path, write_shard
from repro.formats.runs import write_run
from repro.lucene.indexing import Indexing, build_impact_index_with_anserini, compare_indexes
from repro.models.systems import find_system
from repro.models.weights import resolve

VECTORS = {
    "d2": {"moon": 3, "sea": 2},
    "d1": {"moon": 3, "sea": np.int64(2)},
    "d3": {"sea": 1, "salt": 2**20 + 1, "été": 4},
    "d4": {},
}


@pytest.fixture(scope="module")
def encoder():
    return SpladeEncoder("splade-tiny", threads=2)


@pytest.fixture(scope="module")
def sample(tmp_path_factory, encoder):
    """An index of the sample, built after torch has encoded in this process."""
    path = tmp_path_factory.mktemp("library") / "indexes" / "sample"
    documents = ((document.id, document.text) for document in open_collection("sample").documents())
    index = Index.build(path, documents, encoder, threads=2)
    assert [entry.name for entry in path.parent.iterdir()] == ["sample"]  # nothing is left beside it
    return index


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    index = Index.build(tmp_path_factory.mktemp("library") / "vectors", VECTORS.items())
    with Searcher(index, threads=2) as searcher:
        yield searcher


def test_vectors_are_found_by_their_dot_product(vectors):
    assert len(vectors) == 3  # a document without terms is left out
    assert vectors.search({"moon": 2, "sea": 5}) == [("d1", 16.0), ("d2", 16.0), ("d3", 5.0)]
    assert vectors.search({"moon": 2, "sea": 5}, k=1) == [("d1", 16.0)]
    assert vectors.search_many([{"été": 3}, {}, {"nothing": 1}]) == [[("d3", 12.0)], [], []]
    assert vectors.search_many([]) == []


def test_ties_may_go_as_trec_eval_has_them(vectors):
    with Searcher(vectors.index.path, ties="trec_eval") as searcher:
        assert [hit.id for hit in searcher.search({"moon": 1})] == ["d2", "d1"]
        assert list(searcher.run({"q": {"moon": 1}}, k=1)["q"]) == ["d2"]


def test_a_hit_is_explained(vectors):
    found = vectors.explain({"sea": 5, "salt": 1, "moon": 2}, "d3")
    assert found == [("salt", 1, 2**20 + 1, 2**20 + 1), ("sea", 5, 1, 5)]
    assert vectors.explain({"moon": 2}, "d3") == []
    with pytest.raises(InputError, match="there is no document 'd4'"):
        vectors.explain({"moon": 2}, "d4")


def test_explained_products_add_up_to_the_score(sample, encoder):
    queries = open_collection("sample").queries()[:8]
    with Searcher(sample, encoder) as searcher:
        for query, hits in zip(queries, searcher.search_many([query.text for query in queries], k=3)):
            (vector,) = searcher.vectors([query.text])
            for hit in hits:
                matches = searcher.explain(query.text, hit.id)
                assert sum(match.product for match in matches) == hit.score > 0
                assert all(vector[match.term] * match.document == match.product for match in matches)
                assert sorted(matches, key=lambda match: -match.product) == matches


def test_figures_are_those_of_the_table(sample, encoder, tmp_path):
    queries = {query.id: query.text for query in open_collection("sample").queries()}
    with Searcher(sample, encoder) as searcher:
        found = searcher.run(queries)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    row = re.search(r"^\| splade-tiny +\| splade \|.*$", readme, flags=re.MULTILINE)[0]
    mean = evaluate_run(found, "sample").mean
    figures = [f"{mean[name]:.4f}" for name in ("RR@10", "nDCG@10", "R@10")]
    assert figures == re.findall(r" (0\.\d{4}) ", row)[:3]
    write_run(tmp_path / "run.trec", found.items(), "test")
    assert evaluate_run(tmp_path / "run.trec", "sample").per_query == evaluate_run(found, "sample").per_query


def test_the_index_is_the_one_that_anserini_builds(sample, encoder, tmp_path):
    documents = list(open_collection("sample").documents())
    vectors = encoder.impacts(document.text for document in documents)
    (tmp_path / "vectors").mkdir()
    records = (ImpactVector(d.id, "", vector) for d, vector in zip(documents, vectors))
    write_shard(shard_path(tmp_path / "vectors", 0), records)
    arguments = tmp_path / "vectors", tmp_path / "index", len(documents), Indexing(threads=1)
    build_impact_index_with_anserini(*arguments)
    postings, differences = compare_indexes(sample.path, tmp_path / "index")
    assert postings > 50_000 and not differences


def test_evaluation_takes_dictionaries_and_files(tmp_path):
    (tmp_path / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d2 0\nq2 0 d3 1\n")
    found = {"q1": {"d2": 2.0, "d1": 1.0}, "q9": {"d1": 1.0}}
    by_file = evaluate_run(found, tmp_path / "qrels.txt", ["RR@10", "R(rel=2)@1"])
    assert by_file.mean == {"RR@10": 0.25, "R(rel=2)@1": 0.0}
    assert by_file.per_query["q1"]["RR@10"] == 0.5
    assert (by_file.answered, by_file.unjudged) == (1, 1)
    judged = {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 1}}
    assert evaluate_run(found, judged, ["RR@10", "R(rel=2)@1"]) == by_file
    with pytest.raises(InputError, match="none of the run's queries has a judgment"):
        evaluate_run({"q9": {"d1": 1.0}}, judged)
    with pytest.raises(InputError, match="qrels: no judgment in it"):
        evaluate_run(found, {})
    with pytest.raises(InputError, match="unknown measure 'best'"):
        evaluate_run(found, judged, ["best"])


def test_searches_of_several_threads_do_not_mix(vectors):
    queries = [{"moon": number, "sea": 1} for number in range(1, 25)]
    found: dict[int, list] = {}

    def search(part):
        for number in part:
            found[number] = (vectors.search(queries[number]), vectors.explain(queries[number], "d1"))

    threads = [threading.Thread(target=search, args=(range(start, 24, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    for number, (hits, matches) in found.items():
        assert hits[0] == ("d1", 3.0 * (number + 1) + 2) and sum(m.product for m in matches) == hits[0].score


REFUSED = {
    "expected integers from 1 to 2\\^31 - 1 as impacts, found 0": [("d", {"moon": 0})],
    "found 1.5": [("d", {"moon": 1.5})],
    "found 2147483648": [("d", {"moon": 2**31})],
    "words without blanks, found 'full moon'": [("d", {"full moon": 1})],
    "document d: expected {term: impact}, or an encoder for texts": [("d", "the moon")],
    "the id 'd' comes a second time": [("d", {"moon": 1}), ("d", {"sea": 1})],
    "the id 'a d' is empty or holds a blank": [("a d", {"moon": 1})],
    "documents: none to index": [],
}


@pytest.mark.parametrize("message", REFUSED)
def test_documents_that_are_none_are_refused_and_nothing_is_left(message, tmp_path):
    with pytest.raises(InputError, match=message):
        Index.build(tmp_path / "index", REFUSED[message])
    assert not list(tmp_path.iterdir())


def test_other_mistakes(vectors, encoder, tmp_path):
    with pytest.raises(InputError, match="there is no such index"):
        Searcher(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no index in this folder"):
        Searcher(tmp_path / "empty")
    with pytest.raises(InputError, match="exists; give another path, or overwrite=True"):
        Index.build(tmp_path / "empty", VECTORS.items())
    with pytest.raises(InputError, match=r"'the moon': a text needs an encoder: Searcher\(index, encoder\)"):
        vectors.search("the moon")
    with pytest.raises(InputError, match="k: expected a positive number, found 0"):
        vectors.search({"moon": 1}, k=0)
    with pytest.raises(InputError, match=r"expected a text for the encoder, found \{'moon': 1\}"):
        Index.build(tmp_path / "index", [("d", {"moon": 1})], encoder)


def test_an_index_may_be_built_anew(tmp_path):
    Index.build(tmp_path / "index", VECTORS.items())
    with Searcher(Index.build(tmp_path / "index", [("e", {"moon": 1})], overwrite=True)) as searcher:
        assert searcher.search({"moon": 2}) == [("e", 2.0)]


def test_every_example_of_the_page_runs_in_one_process(tmp_path):
    """In the page's order torch comes before the JVM."""
    page = (REPOSITORY / "docs/library.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    assert len(examples) == 6 and all("assert" in example for example in examples)
    (tmp_path / "work/models").mkdir(parents=True)
    (tmp_path / "work/models/splade-tiny").symlink_to(resolve(find_system("splade-tiny")).path)
    (tmp_path / "page.py").write_text("\n".join(examples))
    done = run("page", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_jvm_may_come_before_torch_and_pyserini_after_it(sample, tmp_path):
    (tmp_path / "first.py").write_text(
        "import sys\n"
        "from repro import Searcher\n"
        f"searcher = Searcher({str(sample.path)!r})\n"
        "assert 'torch' not in sys.modules\n"
        "from repro import SpladeEncoder\n"
        "searcher.encoder = SpladeEncoder('splade-tiny')\n"
        "hits = searcher.search('how does the moon move the sea')\n"
        "from repro.lucene.pyserini import prepare_pyserini\n"
        "prepare_pyserini()\n"
        "from pyserini.search.lucene import LuceneImpactSearcher\n"
        "print(len(hits), hits[0].id)\n"
    )
    done = run("first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    count, first = done.stdout.splitlines()[-1].split()
    texts = {document.id: document.text for document in open_collection("sample").documents()}
    assert count == "10" and "tide" in texts[first].lower()


def test_pyserinis_jvm_has_no_place_for_our_classes(sample, tmp_path):
    (tmp_path / "later.py").write_text(
        "from repro.lucene.pyserini import prepare_pyserini\n"
        "prepare_pyserini()\n"
        "from pyserini.search.lucene import LuceneImpactSearcher\n"
        "from repro import InputError, Searcher\n"
        f"try:\n    Searcher({str(sample.path)!r})\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = run("later", cwd=tmp_path)
    assert "was started without this project's classes, as importing Pyserini does" in done.stdout, (
        done.stderr
    )
