"""What is exported of a small table: read back, and taken by Pyserini's and Anserini's own code."""

import argparse
import contextlib
import gzip
import importlib
import importlib.resources
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from anserini import java, trec_eval
from ciff_reading import read_ciff
from conftest import DOCUMENTS, run_here, succeed, write_beir
from scipy.sparse import csr_matrix

from repro.base.errors import InputError
from repro.base.files import read_json
from repro.exporting.ciff_check import verify
from repro.exporting.narrowing import Narrowing
from repro.formats.ciff import Header, PostingsList, write_ciff
from repro.formats.impact_vectors import read_vectors
from repro.lucene.posting_lists import PostingsReader

ENCODED = "work/encoded/tiny/splade-tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A table of two rows on six passages, the index of one of them, and its conditions."""
    folder = tmp_path_factory.mktemp("export")
    write_beir(folder / "tiny")
    table = ("--collection", "tiny", "--systems", "bm25,splade-tiny")
    succeed("repro.table", *table, cwd=folder, by=run_here)
    succeed(
        "repro.export", "ciff", "--collection", "tiny", "--system", "splade-tiny", cwd=folder, by=run_here
    )
    systems = "bm25,splade-tiny,splade-mini,bm25+splade-tiny"
    conditions = ("repro.export", "conditions", "--collection", "tiny", "--systems", systems)
    succeed(*conditions, cwd=folder, by=run_here)
    return folder


def test_the_ciff_file_has_the_postings_of_the_index(folder):
    """The index's, as Lucene gives them, which are the vectors that were indexed."""
    from repro.lucene.postings import document_impacts

    with open(folder / "work/exports/tiny.splade-tiny.ciff", "rb") as file:
        found = read_ciff(file)
    index = folder / "work/indexes/lucene-impact.tiny.splade-tiny"
    vectors: dict[str, dict[str, int]] = {docid: {} for docid in found.lengths}
    for term, postings in found.postings.items():
        for docid, impact in postings.items():
            vectors[docid][term] = impact
    assert vectors == {docid: document_impacts(index, docid, found.postings) for docid in vectors}
    assert vectors == {vector.id: vector.vector for vector in read_vectors(folder / ENCODED)}
    assert found.lengths == {docid: sum(vector.values()) for docid, vector in vectors.items()}
    assert found.header.total_terms_in_collection == sum(found.lengths.values())


@pytest.mark.parametrize("options", [[], ["--bits", "5"], ["--bits", "5", "--fit", "rescale"]])
def test_the_ciff_file_is_read_back_and_compared(folder, options):
    """Impacts of five bits are those of the index, narrowed."""
    command = (
        "repro.export",
        "ciff",
        "--collection",
        "tiny",
        "--system",
        "splade-tiny",
        "--verify",
        *options,
    )
    done = run_here(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    path = folder / done.stdout.strip()
    counts = read_json(path.with_name(f"{path.name}.manifest.json"))["counts"]
    counts = ", ".join(f"{counts[name]:,} {name}" for name in ("terms", "postings", "documents"))
    index = "lucene-impact.tiny.splade-tiny"
    assert done.stderr.splitlines()[-1] == f"{path.name}: read back: {counts}, equal to those of {index}"


def with_impact(lists: list[PostingsList], docids: list[str]) -> None:
    lists[7].impacts[0] += 1


def with_document(lists: list[PostingsList], docids: list[str]) -> None:
    which = next(i for i, of_term in enumerate(lists) if of_term.documents.tolist() == [0])
    lists[which].documents[0] = 1


def without_posting(lists: list[PostingsList], docids: list[str]) -> None:
    which = next(i for i, of_term in enumerate(lists) if len(of_term.documents) > 1)
    term, *arrays = lists[which]
    lists[which] = PostingsList(term, *(array[:-1] for array in arrays))


def without_term(lists: list[PostingsList], docids: list[str]) -> None:
    del lists[-1]


def with_ids_exchanged(lists: list[PostingsList], docids: list[str]) -> None:
    docids[1], docids[2] = docids[2], docids[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_impact, r"posting 0 of '.*' is document . with impact (\d+), and in the index document . with"),
        (with_document, r"posting 0 of '.*' is document 1 with impact \d+, and in the index document 0"),
        (without_posting, r"posting \d of '.*' is missing, and in the index document"),
        (without_term, r"term \d+ is missing, and in the index '"),
        (with_ids_exchanged, r"document 1 is 'd3' with length [\d,]+, and in the index 'd2' with length"),
    ],
)
def test_a_ciff_file_with_anything_else_is_told(folder, tmp_path, change, told):
    """Files in the format, each with one thing that is not the index's."""
    index, path = folder / "work/indexes/lucene-impact.tiny.splade-tiny", tmp_path / "index.ciff"
    with PostingsReader(index) as reader:
        lists = [PostingsList(term, *map(np.copy, arrays)) for term, *arrays in reader.lists()]
        docids = list(reader.docids())
    change(lists, docids)
    total = sum(int(of_term.impacts.sum()) for of_term in lists)
    with open(path, "wb") as file:
        write_ciff(file, Header(len(lists), len(docids), total, "changed"), lists, docids)
    with pytest.raises(InputError, match=told):
        verify(path, index, Narrowing(greatest=1000, limit=1000))


def export(folder: Path, form: str, *options: str) -> Path:
    arguments = ("--collection", "tiny", "--system", "splade-tiny", "--format", form, *options)
    printed = succeed("repro.export", "vectors", *arguments, cwd=folder, by=run_here)
    return folder / printed.strip()


def test_all_formats_have_the_vectors_that_were_encoded(folder):
    vectors = {vector.id: vector.vector for vector in read_vectors(folder / ENCODED)}
    lines = export(folder, "seismic").read_text().splitlines()
    assert {line["id"]: line["vector"] for line in map(json.loads, lines)} == vectors
    arrays = export(folder, "numpy")
    data, indices, indptr = (np.load(arrays / f"{name}.npy") for name in ("data", "indices", "indptr"))
    terms, ids = ((arrays / f"{name}.txt").read_text().splitlines() for name in ("terms", "ids"))
    matrix = csr_matrix((data, indices, indptr), shape=(len(ids), len(terms)))
    assert matrix.has_canonical_format
    assert vectors == {
        docid: dict(zip([terms[column] for column in row.indices], row.data.tolist()))
        for docid, row in zip(ids, matrix)
    }
    (request,) = map(json.loads, export(folder, "qdrant").read_text().splitlines())
    points = {point["payload"]["docid"]: point["vector"]["sparse"] for point in request["points"]}
    assert vectors == {
        docid: dict(zip([terms[index] for index in point["indices"]], point["values"]))
        for docid, point in points.items()
    }
    bulk = [json.loads(line) for line in export(folder, "opensearch").read_text().splitlines()]
    features = [line["passage_embedding"] for line in bulk[1::2]]
    assert [line["index"]["_id"] for line in bulk[::2]] == list(vectors)
    assert [sorted(found.values()) for found in features] == [sorted(v.values()) for v in vectors.values()]


def test_queries_are_exported_too(folder):
    lines = export(folder, "seismic", "--part", "queries").read_text().splitlines()
    encoded = folder / "work/encoded/tiny/splade-tiny.tiny-test.queries"
    expected = {vector.id: vector.vector for vector in read_vectors(encoded)}
    assert {line["id"]: line["vector"] for line in map(json.loads, lines)} == expected


@pytest.fixture(scope="module")
def conditions(folder) -> dict:
    return yaml.safe_load((folder / "work/exports/tiny-test.conditions/pyserini.yaml").read_text())


def test_pyserinis_runner_takes_the_conditions(folder, conditions, monkeypatch, capsys, tmp_path):
    """Its own code reads the file, fills in the commands and the scores; only nothing is searched."""
    (tmp_path / "msmarco-v1-passage.yaml").write_text(yaml.safe_dump(conditions))
    files = importlib.resources.files
    monkeypatch.setattr(
        importlib.resources, "files", lambda name: tmp_path if name == "pyserini.2cr" else files(name)
    )
    runner = importlib.import_module("pyserini.2cr.msmarco")
    scores = {entry["name"]: entry["topics"][0]["scores"] for entry in conditions["conditions"]}
    assert [*scores] == ["bm25", "splade-tiny", "splade-mini", "bm25+splade-tiny"]
    for name, expected in scores.items():
        options = {"condition": name, "all": False, "directory": "runs", "display_commands": True}
        modes = {"collection": "msmarco-v1-passage", "dry_run": True, "skip_eval": True}
        # a row without any score comes as far as the runner's summary, which Pyserini's own rows all enter
        with contextlib.nullcontext() if expected else pytest.raises(KeyError, match=re.escape(name)):
            runner.run_conditions(argparse.Namespace(**options, **modes))
    shown = capsys.readouterr().out
    assert re.findall(r"^python -m (\S+)", shown, flags=re.MULTILINE) == [
        *["pyserini.search.lucene"] * 3,
        "pyserini.fusion",
    ]
    assert "--output runs/run.msmarco-v1-passage.splade-tiny..txt" in shown.replace(" \\\n ", "")
    assert "$" not in shown


def test_scores_are_those_of_the_table(folder, conditions):
    """Expected are the figures of the table, and none of the row that has no weights."""
    table = json.loads((folder / "tables/tiny-test.json").read_text())
    measured = {row["system"]: row["figures"] for row in table["rows"]}
    scores = {entry["name"]: entry["topics"][0]["scores"] for entry in conditions["conditions"]}
    assert scores["splade-mini"] == scores["bm25+splade-tiny"] == []
    for system, figures in measured.items():
        (expected,) = scores[system]
        assert expected["MRR@10"] == pytest.approx(figures["RR@10"], abs=1e-4)
        assert expected["nDCG@10"] == pytest.approx(figures["nDCG@10"], abs=1e-4)


def test_anserini_finds_what_its_regression_expects(folder, tmp_path):
    """Indexed, searched and evaluated by the commands that Anserini's runner makes of the keys."""
    path = folder / "work/exports/tiny-test.conditions/anserini/tiny-test.splade-tiny.yaml"
    entry = yaml.safe_load(path.read_text())
    (topics,), (model,) = entry["topics"], entry["models"]
    index, found = tmp_path / entry["index_path"], tmp_path / "run"
    indexing = (
        f"io.anserini.index.IndexCollection -collection {entry['collection_class']} "
        f"-generator {entry['generator_class']} -threads {entry['index_threads']} "
        f"-input {entry['corpus_path']} -index {index} {entry['index_options']}"
    )
    java(*indexing.split())
    printed = java("io.anserini.index.IndexReaderUtils", "-index", index, "-stats")
    statistics = {
        key: int(value) for key, value in re.findall(r"^([\w ()-]+):\s+(\d+)$", printed, re.MULTILINE)
    }
    assert entry["index_stats"].items() <= statistics.items() and len(entry["index_stats"]) == 3
    searching = (
        f"io.anserini.search.SearchCollection -index {index} -topics {topics['path']} "
        f"-topicReader {entry['topic_reader']} -output {found} {model['params']}"
    )
    java(*searching.split())
    assert set(model["results"]) == {"RR@10", "nDCG@10", "R@10"} == {m["metric"] for m in entry["metrics"]}
    for metric in entry["metrics"]:
        last = trec_eval(*metric["params"].split(), topics["qrel"], found).strip().splitlines()[-1]
        value = float(last.split(metric["separator"])[metric["parse_index"]])
        (expected,), (tolerance,) = (model[key][metric["metric"]] for key in ("results", "tolerance"))
        assert abs(value - expected) <= tolerance + 1e-9, metric["metric"]


def test_anserinis_bm25_gets_the_texts(folder):
    path = folder / "work/exports/tiny-test.conditions/anserini/tiny-test.bm25.yaml"
    with gzip.open(
        Path(yaml.safe_load(path.read_text())["corpus_path"]) / "part-00000.jsonl.gz", "rt"
    ) as file:
        first, *others = map(json.loads, file)
    assert first == {"id": "d1", "contents": f"Tides {DOCUMENTS[0][2]}"}
    assert [record["id"] for record in others] == [docid for docid, *_ in DOCUMENTS[1:]]


def test_a_row_without_a_current_run_expects_nothing(folder):
    """The last test here, since it replaces the conditions."""
    arguments = ("--collection", "tiny", "--systems", "splade-mini,bm25", "--runs", "nowhere")
    done = run_here("repro.export", "conditions", *arguments, cwd=folder)
    assert done.returncode == 0
    assert "bm25: without scores on tiny-test, its run is missing" in done.stderr
    assert "splade-mini: without scores, its model is not on this machine" in done.stderr
    text = (folder / "work/exports/tiny-test.conditions/pyserini.yaml").read_text()
    assert [entry["topics"][0]["scores"] for entry in yaml.safe_load(text)["conditions"]] == [[], []]
