"""Queries without inference as a user has them: a row over the index of the SPLADE model's own row."""

import json
import math
import re
from collections import Counter

import pytest
import yaml
from conftest import QUERIES, refused, run_here, succeed, write_beir
from stages import copied

from repro import Searcher, StaticQueryEncoder
from repro.base.files import read_json, remove
from repro.formats.impact_vectors import read_vectors
from repro.formats.runs import read_run
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.report.page import read_data_block

SYSTEM, NAME = "splade-doc:splade-tiny", "splade-doc.splade-tiny"
TABLE = ["repro.table", "--collection", "tiny", "--systems"]
INDEX = "work/indexes/lucene-impact.tiny.splade-tiny"
QUERY_VECTORS = f"work/encoded/tiny/{NAME}.tiny-test.queries"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the table of both rows on a tiny collection."""
    folder = tmp_path_factory.mktemp("splade-doc")
    write_beir(folder / "tiny")

    succeed(*TABLE, f"{SYSTEM},splade-tiny", cwd=folder, by=run_here)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    """The run, its scores as they were before ties were lowered."""
    found = read_run(folder / f"runs/run.tiny-test.{NAME}.trec")
    return {
        query: {docid: math.ceil(score) for docid, score in scores.items()} for query, scores in found.items()
    }


def test_documents_are_encoded_and_indexed_once(folder):
    def made(place):
        names = sorted(path.name for path in (folder / "work" / place).glob("*.manifest.json"))
        return [name.removesuffix(".manifest.json") for name in names]

    assert made("encoded/tiny") == [
        f"{NAME}.tiny-test.queries",
        "splade-tiny",
        "splade-tiny.tiny-test.queries",
    ]
    assert made("indexes") == ["lucene-impact.tiny.splade-tiny"] and made("models") == ["splade-tiny"]
    static, model = read_json(folder / "tables/tiny-test.json")["rows"]
    assert (static["system"], static["kind"], static["spec"]) == (NAME, "splade-doc", SYSTEM)
    for same in ("parameters", "document_terms", "index_bytes", "weights", "queries"):
        assert static[same] == model[same] is not None
    assert 0 < static["query_terms"] < model["query_terms"]
    assert read_json(folder / f"{QUERY_VECTORS}.manifest.json")["settings"] == {
        "query weights": "idf of the index"
    }


def test_scores_are_those_of_idf_counted_in_the_index(folder, results):
    documents = {v.id: v.vector for v in read_vectors(folder / "work/encoded/tiny/splade-tiny")}
    frequencies = Counter(term for vector in documents.values() for term in vector)
    tokenizer = find_tokenizer()
    for query, text in QUERIES:
        weights = {
            term: round(
                math.log(1 + (len(documents) - frequencies[term] + 0.5) / (frequencies[term] + 0.5)) * 256 / 5
            )
            for term in set(tokenizer.tokenize(text))
            if term in frequencies
        }
        scores = {
            docid: sum(weights.get(term, 0) * impact for term, impact in vector.items())
            for docid, vector in documents.items()
        }
        assert weights and results[query] == {docid: score for docid, score in scores.items() if score}


def find_tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(resolve(find_system("splade-tiny")).path)


def needed(folder, systems, *options):
    lines = succeed(*TABLE, systems, "--dry-run", *options, cwd=folder, by=run_here).splitlines()
    short = (line.partition("repro.")[2].replace("--collection tiny ", "") for line in lines)
    return [re.split(" --(?:runs|work|force|threads|scale)", line)[0] for line in short]


def test_stages_are_needed_once_and_follow_the_index(folder, tmp_path):
    here = copied(folder, tmp_path / "copy")
    model = ["encode --system splade-tiny", "index --system splade-tiny"]
    searches = ["search --system splade-tiny", f"search --system {SYSTEM}"]
    queries = f"encode --only queries --system {SYSTEM}"
    assert needed(here, SYSTEM) == []
    assert needed(here, f"splade-tiny,{SYSTEM}", "--force") == [*model, searches[0], queries, searches[1]]
    alone = ["encode --only documents --system splade-tiny", model[1], searches[1]]
    assert needed(here, SYSTEM, "--scale", "100") == alone
    assert needed(here, SYSTEM, "--force") == [*alone[:2], queries, alone[2]]
    (here / "m").symlink_to(resolve(find_system("splade-tiny")).path)
    own = needed(here, "splade:./m,splade-doc:m", "--force")
    assert own[:2] == ["encode --system splade:./m", "index --system splade:./m"]
    assert own[3:] == ["encode --only queries --system splade-doc:m", "search --system splade-doc:m"]
    remove(here / QUERY_VECTORS)
    assert needed(here, SYSTEM) == [searches[1]]
    remove(here / INDEX)
    error = refused(
        "repro.encode", "--collection", "tiny", "--system", SYSTEM, "--only", "queries", cwd=here, by=run_here
    )
    assert INDEX in error and f"python -m repro.index --collection ... --system {SYSTEM} (" in error


def test_the_page_tells_what_each_stage_encodes(folder):
    table = ["repro.__main__", "table", *TABLE[1:], f"{SYSTEM},splade-tiny"]  # with its page
    succeed(*table, cwd=folder, by=run_here)
    (page,) = (folder / "tables").glob("*.html")
    commands = read_data_block(page, "evidence")["commands"]["rows"]
    told = {name: [of["does"] for of in commands[name]] for name in ("splade-tiny", NAME)}
    both, indexing = "Encode documents and queries", "Index the documents"
    assert told["splade-tiny"][:3] == [both, indexing, "Search"]
    assert told[NAME][:4] == [both, indexing, "Encode queries", "Search"]


def test_pyserini_finds_the_same_without_an_encoder(folder, results):
    """By the searcher that the condition's command opens, which counts a query's tokens."""
    systems = ("--systems", f"{SYSTEM},splade-tiny")
    succeed("repro.export", "conditions", "--collection", "tiny", *systems, cwd=folder, by=run_here)
    conditions = folder / "work/exports/tiny-test.conditions"
    static, _ = yaml.safe_load((conditions / "pyserini.yaml").read_text())["conditions"]
    assert static["command"].endswith("--hits 1000 --impact") and INDEX in static["command"]
    (topics,) = static["topics"]
    assert topics["scores"][0]["nDCG@10"] > 0
    with Searcher(folder / INDEX, threads=1):  # a JVM with this project's jar
        from repro.lucene.pyserini import prepare_pyserini

        prepare_pyserini()
        from pyserini.search.lucene import LuceneImpactSearcher

        searcher = LuceneImpactSearcher(str(folder / INDEX), None)
        queries = json.loads((folder / topics["topic_key"]).read_text())
        assert queries.keys() == results.keys()
        for query, topic in queries.items():
            found = {hit.docid: hit.score for hit in searcher.search(topic["title"], 1000)}
            in_all = [term for term in set(topic["title"].split()) if searcher.idf[term] == 0]
            assert not in_all and found == results[query]  # Pyserini leaves out terms of all documents
    regression = yaml.safe_load((conditions / f"anserini/tiny-test.{NAME}.yaml").read_text())
    assert regression["index_path"] == "indexes/lucene-inverted.tiny.splade-tiny/"
    lines = (conditions / f"topics.tiny-test.{NAME}.tsv").read_text().splitlines()
    assert dict(line.split("\t") for line in lines) == {
        query: topic["title"] for query, topic in queries.items()
    }


def test_the_library_searches_with_it(folder, results):
    encoder = StaticQueryEncoder("splade-tiny", folder / INDEX)
    with Searcher(folder / INDEX, encoder, threads=1) as searcher:
        for query, text in QUERIES:
            assert {hit.id: hit.score for hit in searcher.search(text, k=1000)} == results[query]


def test_explain_shows_the_terms_of_the_score(folder, results):
    command = ["repro.explain", "--collection", "tiny", "--system", SYSTEM, "--query-id", "q1"]
    lines = succeed(*command, "--document-id", "d1", cwd=folder, by=run_here).splitlines()
    assert lines[-1].startswith("sum of all")
    assert int(lines[-1].split()[-1].replace(",", "")) == results["q1"]["d1"]
    (title, *_) = succeed(*command, cwd=folder, by=run_here).splitlines()
    vectors = {vector.id: vector.vector for vector in read_vectors(folder / QUERY_VECTORS)}
    assert title == f"{len(vectors['q1'])} terms, strongest first"
    error = refused(*command, "--work", "elsewhere", cwd=folder, by=run_here)
    assert "elsewhere/indexes" in error and "repro.index" in error
