"""What exports write for other tools, by hand: lines, arrays, narrowed impacts, measures, conditions."""

import errno
import io
import json
import resource
from pathlib import Path

import numpy as np
import pytest
from conftest import run_here
from scipy.sparse import csr_matrix

from repro.base.errors import InputError
from repro.cli.options import SystemOptions
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary
from repro.evaluation.measures import parse_measures
from repro.exporting import anserini_regression, pyserini_conditions, trec_eval
from repro.exporting.arrays import write_impact_arrays
from repro.exporting.narrowing import Impacts, Narrowing
from repro.exporting.rows import Row
from repro.exporting.topic_sets import Measured, TopicSet
from repro.exporting.vectors import Record, write_opensearch, write_qdrant, write_seismic
from repro.formats.impact_vectors import ImpactVector
from repro.models.systems import System, find_system, table_systems
from repro.pipeline.opening import Corpus

RECORDS = [Record("d1", "Tides.", {"tide": 70, ".": 3}), Record("d2", "größe", {})]


def lines(write, *arguments) -> list[dict]:
    file = io.StringIO()
    write(file, *arguments)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_seismic_gets_ids_texts_and_vectors():
    assert lines(write_seismic, RECORDS) == [
        {"id": "d1", "content": "Tides.", "vector": {"tide": 70, ".": 3}},
        {"id": "d2", "content": "größe", "vector": {}},
    ]


def test_opensearch_gets_bulk_requests_without_dots_in_features():
    assert lines(write_opensearch, RECORDS) == [
        {"index": {"_id": "d1"}},
        {"passage_text": "Tides.", "passage_embedding": {"tide": 70, "__": 3}},
        {"index": {"_id": "d2"}},
        {"passage_text": "größe", "passage_embedding": {}},
    ]
    with pytest.raises(InputError, match="document d3: two of its terms have one name"):
        lines(write_opensearch, [Record("d3", "", {".": 1, "__": 2})])


def test_qdrant_gets_requests_of_points_with_the_models_ids(monkeypatch):
    monkeypatch.setattr("repro.exporting.vectors.POINTS", 2)
    records = [*RECORDS, Record("d3", "", [0.5, -1.0])]
    first, second = lines(write_qdrant, records, {"tide": 9, ".": 4})
    assert first["points"] == [
        {
            "id": 0,
            "vector": {"sparse": {"indices": [4, 9], "values": [3, 70]}},
            "payload": {"docid": "d1", "text": "Tides."},
        },
        {
            "id": 1,
            "vector": {"sparse": {"indices": [], "values": []}},
            "payload": {"docid": "d2", "text": "größe"},
        },
    ]
    assert second["points"][0]["vector"] == {"dense": [0.5, -1.0]}


def test_arrays_are_a_sparse_matrix(tmp_path):
    vectors = [ImpactVector(*record) for record in RECORDS]
    write_impact_arrays(vectors, tmp_path, 2, 2, {"tide": 2, ".": 0})
    data, indices, indptr = (np.load(tmp_path / f"{name}.npy") for name in ("data", "indices", "indptr"))
    assert csr_matrix((data, indices, indptr), shape=(2, 3)).toarray().tolist() == [[3, 0, 70], [0, 0, 0]]
    assert (tmp_path / "ids.txt").read_text() == "d1\nd2\n"
    assert (tmp_path / "terms.txt").read_text() == ".\n\ntide\n"


@pytest.mark.parametrize(("texts", "postings"), [(1, 2), (3, 2), (2, 3)])
def test_other_vectors_than_were_counted_are_refused(tmp_path, texts, postings):
    vectors = [ImpactVector(*record) for record in RECORDS]
    with pytest.raises(InputError, match=rf"expected {texts} vectors with {postings} impacts"):
        write_impact_arrays(vectors, tmp_path, texts, postings, {"tide": 1, ".": 0})


def test_a_disk_that_is_full_is_told_as_such(tmp_path):
    """What np.save raises where a file cannot grow any more has no number."""
    texts, soft, hard = 10_000, *resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * texts, hard))  # enough for the ids, not for indptr
    try:
        with pytest.raises(OSError, match="File too large") as full:
            write_impact_arrays([ImpactVector("d", "", {})] * texts, tmp_path, texts, 0, {"tide": 0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.errno == errno.EFBIG


IMPACTS = np.array([1, 3, 255, 510, 510], np.int32)


@pytest.mark.parametrize(
    ("clamp", "expected", "inexact", "errors", "largest"),
    [(True, [1, 3, 255, 255, 255], 2, 510 / 1279, 255), (False, [1, 2, 128, 255, 255], 3, 3 / 1279, 1)],
)
def test_impacts_are_narrowed_and_the_cost_is_told(clamp, expected, inexact, errors, largest):
    """Scaled by 1/2: 1 stays 1 (it stands for 2), 3 becomes 2 (4), 255 becomes 128 (256)."""
    counted = Impacts()
    counted.add(IMPACTS)
    narrowing = Narrowing(counted.greatest, 255, clamp)
    found = narrowing(IMPACTS)
    assert found.tolist() == expected and found.dtype == np.int32
    assert counted.total(narrowing(counted.values)) == sum(expected)
    cost = narrowing.cost(counted)
    assert cost == {"greatest": 510, "inexact": inexact, "errors": errors, "largest_error": largest}
    assert f"(the greatest was 510): {inexact} are not exact" in narrowing.sentence(cost)


@pytest.mark.parametrize("clamp", [True, False])
def test_impacts_that_fit_stay(clamp):
    counted = Impacts()
    counted.add(IMPACTS)
    narrowing = Narrowing(counted.greatest, 511, clamp)
    assert narrowing(IMPACTS).tolist() == IMPACTS.tolist()
    assert narrowing.cost(counted)["inexact"] == 0
    assert narrowing.sentence(narrowing.cost(counted)) == "nothing is lost, the greatest impact is 510"


@pytest.mark.parametrize(
    ("measure", "arguments", "pyserini", "anserini"),
    [
        ("RR@10", "-c -M 10 -m recip_rank", "MRR@10", "RR@10"),
        ("RR(rel=2)@10", "-c -l 2 -M 10 -m recip_rank", "MRR@10", "RR@10"),
        ("nDCG@10", "-c -m ndcg_cut.10", "nDCG@10", "nDCG@10"),
        ("R@1000", "-c -m recall.1000", "R@1K", "R@1000"),
        ("R(rel=2)@100", "-c -l 2 -m recall.100", "R@100", "R@100"),
        ("AP(rel=2)", "-c -l 2 -m map", "MAP", "AP@1000"),
        ("P@5", "-c -m P.5", "P@5", "P@5"),
    ],
)
def test_measures_are_named_as_each_tool_names_them(measure, arguments, pyserini, anserini):
    (parsed,) = parse_measures([measure])
    assert trec_eval.arguments(parsed) == arguments
    assert trec_eval.pyserini_name(parsed) == pyserini
    assert trec_eval.anserini_name(parsed, 1000) == anserini


@pytest.mark.parametrize("measure", ["RBP(p=0.8)", "nDCG(dcg='exp-log2')@10", "Judged@10"])
def test_a_measure_that_trec_eval_has_not_is_left_out(measure):
    (parsed,) = parse_measures([measure])
    assert trec_eval.arguments(parsed) is None


@pytest.fixture
def topics(beir) -> TopicSet:
    collection = open_collection(str(beir))
    corpus = Corpus(collection, CorpusSummary(documents=6, empty=0, sha256="0" * 64))
    measures = parse_measures(["nDCG@10", "RBP"])
    return TopicSet(str(beir), corpus, collection.queries(), collection.qrels(), measures, Path("there"))


def test_queries_and_judgments_are_written_as_files(topics, tmp_path):
    topics.write(tmp_path)
    topics.write_impacts(tmp_path, "s", [("q1", {"sea": 2, "##s": 1}), ("q2", {})])
    read = {path.name: path.read_text() for path in tmp_path.glob("*.*")}
    assert json.loads(read["topics.tiny-test.json"])["q2"] == {"title": "what makes bread rise"}
    assert read["topics.tiny-test.tsv"].splitlines()[2] == "q3\thow to store a loaf"
    assert read["topics.tiny-test.s.tsv"] == "q1\tsea sea ##s\nq2\t\n"
    assert read["qrels.tiny-test.txt"] == "q1 0 d1 3\nq2 0 d2 2\nq3 0 d6 1\n"
    assert topics.keys == ("there/topics.tiny-test.json", "there/qrels.tiny-test.txt")


def test_pyserinis_own_topics_go_by_its_keys(topics):
    named = TopicSet("msmarco-passage/trec-dl-2019/judged", *list(vars(topics).values())[1:])
    assert named.keys == ("dl19-passage", "dl19-passage")


def row(system: System, *measured: Measured | None) -> Row:
    """Return a row without a model."""
    return Row(system, "tiny", Path("w"), SystemOptions(), [None] * len(measured), measured)


def test_every_system_of_the_table_has_a_command_for_pyserini():
    commands = {
        name: pyserini_conditions.search_command(row(system, None))
        for name, system in table_systems().items()
    }
    assert commands["bm25"].endswith(
        "--index w/indexes/lucene-bm25.tiny --topics $topics --output $output "
        "--hits 1000 --bm25 --k1 0.9 --b 0.4"
    )
    assert "--encoder w/models/splade-mini --impact" in commands["splade-mini"]
    assert "--pooling mean --l2-norm --query-prefix query: --index" in commands["e5-small-v2"]
    own = find_system("dense:owner/model")
    assert pyserini_conditions.search_command(row(own, None)) is None


def test_scores_are_expected_where_they_were_measured(topics):
    measured = Measured({"nDCG@10": 0.12345, "RBP": 0.5}, {"nDCG@10": 0.00012, "RBP": 0.0})
    system = find_system("splade-tiny")
    condition = pyserini_conditions.condition(row(system, measured, None), "run $topics", [topics, topics])
    assert [entry["scores"] for entry in condition["topics"]] == [[{"nDCG@10": 0.1235}], []]
    assert pyserini_conditions.definitions([topics]) == {
        "there/qrels.tiny-test.txt": {"nDCG@10": "-c -m ndcg_cut.10"}
    }
    found = anserini_regression.regression(system, Path("v"), {}, topics, measured, SystemOptions())
    (model,) = found["models"]
    assert model["results"] == {"nDCG@10": [0.1235]}
    assert model["tolerance"] == {"nDCG@10": [0.0003]}  # the last digit, and what ties change, rounded up
    assert [metric["metric"] for metric in found["metrics"]] == ["nDCG@10"]
    unmeasured = anserini_regression.regression(system, Path("v"), {}, topics, None, SystemOptions())
    (model,) = unmeasured["models"]
    assert model["results"] == model["tolerance"] == {} and unmeasured["metrics"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["ciff", "--system", "splade-tiny", "--bits", "32"],
            "--bits 32: an impact in an index has 31 at most",
        ),
        (["ciff", "--system", "bm25"], "--system bm25: only SPLADE systems have an index of impacts"),
        (["ciff", "--system", "splade-tiny"], "run first: python -m repro.index"),
        (["vectors", "--system", "bm25", "--format", "numpy"], "it encodes nothing, so there are no vectors"),
        (["vectors", "--system", "all-minilm-l6-v2", "--format", "seismic"], "is for splade systems, and"),
        (["vectors", "--system", "splade-tiny", "--format", "qdrant"], "run first: python -m repro.encode"),
        (
            ["vectors", "--system", "splade-tiny", "--format", "qdrant", "--part", "queries"],
            "--part queries: --format qdrant is for documents",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(beir, tmp_path, arguments, sentence):
    done = run_here("repro.export", arguments[0], "--collection", beir, *arguments[1:], cwd=tmp_path)
    assert done.returncode == 2 and sentence in done.stderr
