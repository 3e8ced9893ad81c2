"""Conditions of rows that nothing was measured of: commands, encoded queries, texts, the order of locks."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from conftest import QRELS, run_here, write_beir

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.cli.options import CollectionOptions, SystemOptions, WorkOptions
from repro.exporting.pyserini_conditions import search_command
from repro.exporting.rows import Row
from repro.formats.impact_vectors import ImpactVector, shard_path, write_shard
from repro.models.systems import find_system
from repro.models.weights import NoWeights, Weights
from repro.pipeline.opening import artifacts_of, open_corpus

SYSTEM = "splade-tiny"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a collection of two query sets."""
    tiny = write_beir(tmp_path / "tiny")
    (tiny / "qrels" / "dev.tsv").write_text((tiny / "qrels" / "test.tsv").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(monkeypatch) -> None:
    """Every model is found."""
    found = Weights(Path("model"), "a folder", "0" * 64)
    monkeypatch.setattr("repro.pipeline.opening.resolve", Mock(return_value=found))


def artifacts(options: SystemOptions = SystemOptions()) -> SystemArtifacts:
    corpus = open_corpus(CollectionOptions("tiny"), WorkOptions())
    return artifacts_of(find_system(SYSTEM), corpus, WorkOptions(), options)


def export(folder: Path, systems: str, *options: str) -> tuple[dict[str, str], str]:
    """Return the commands of Pyserini's conditions by system, and what was noted."""
    done = run_here("repro.export", "conditions", "--collection", "tiny", "--systems", systems, *options)
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((folder / done.stdout.strip() / "pyserini.yaml").read_text())
    return {entry["name"]: entry["command"] for entry in written["conditions"]}, done.stderr


def no_condition(system: str) -> str:
    return f"{system}: no condition, Pyserini has no command that makes its run"


FUSION = f"bm25+{SYSTEM}"


def test_a_fusion_names_its_runs_and_its_depth(folder, models):
    commands, noted = export(folder, FUSION, "--hits", "2000")
    assert commands[FUSION] == (
        "python -m pyserini.fusion --method rrf --runs runs/run.tiny-test.bm25.trec "
        "runs/run.tiny-test.splade-tiny.trec --output $output --depth 2000 --k 2000"
    )
    assert "no condition" not in noted


def test_a_fusion_over_several_query_sets_has_no_condition(folder, models):
    """Its command would name the runs of one."""
    commands, noted = export(folder, f"bm25,{FUSION}", "--topics", "test,dev")
    assert [*commands] == ["bm25"] and no_condition(FUSION) in noted


def test_a_fusion_without_a_model_has_no_condition(folder, monkeypatch):
    """Its command would name no run."""
    monkeypatch.setattr("repro.pipeline.opening.resolve", Mock(side_effect=NoWeights("nowhere")))
    commands, noted = export(folder, f"bm25,{FUSION}")
    assert [*commands] == ["bm25"] and no_condition(FUSION) in noted


@pytest.mark.parametrize(
    "options", [("--max-query-terms", "5"), ("--scale", "100"), ("--precision", "bf16")], ids=lambda o: o[0]
)
def test_options_that_pyserini_has_not_leave_splade_without_a_condition(folder, models, options):
    commands, noted = export(folder, f"bm25,{SYSTEM},all-minilm-l6-v2", *options)
    assert [*commands] == ["bm25", "all-minilm-l6-v2"] and no_condition(SYSTEM) in noted


def test_a_command_names_the_same_places_with_a_model_and_without(folder, models):
    of = artifacts()
    rows = [Row(of.system, "tiny", of.work, of.options, [found], [None]) for found in (of, None)]
    for place in (search_command, lambda row: row.index, lambda row: row.model, lambda row: row.documents):
        assert place(rows[0]) == place(rows[1])


def test_static_queries_that_are_not_encoded_leave_their_row_without_a_condition(folder, models):
    """Its topics would be no file."""
    commands, noted = export(folder, f"bm25,splade-doc:{SYSTEM}")
    assert [*commands] == ["bm25"] and no_condition(f"splade-doc.{SYSTEM}") in noted


@pytest.fixture
def encoded(folder, models) -> Artifact:
    """Encoded queries that are current."""
    queries = artifacts().queries
    with queries.making():
        partial = queries.begin()
        vectors = [ImpactVector(query, "", {"sea": 2, "##s": 3, "a": 2}) for query, *_ in QRELS]
        write_shard(shard_path(partial, 0), vectors)
        queries.finish(partial, counts={"texts": len(vectors)}, parameters=0, settings={})
    return queries


@pytest.mark.parametrize(
    ("options", "query"),
    [((), "sea sea ##s ##s ##s a a"), (("--max-query-terms", "2"), "##s ##s ##s a a")],
    ids=["all", "strongest"],
)
def test_anserini_searches_with_the_terms_of_the_run(folder, encoded, options, query):
    export(folder, SYSTEM, *options)
    topics = folder / "work/exports/tiny-test.conditions/topics.tiny-test.splade-tiny.tsv"
    assert topics.read_text().splitlines() == [f"{number}\t{query}" for number, *_ in QRELS]


def test_locks_are_taken_in_the_order_of_the_data_flow(folder, encoded, monkeypatch):
    order, reading = [], Artifact.reading
    monkeypatch.setattr(
        Artifact, "reading", lambda self, wait=True: order.append(self.path.name) or reading(self, wait)
    )
    export(folder, SYSTEM)
    assert order[-2:] == [encoded.path.name, "lucene-impact.tiny.splade-tiny"]


def test_texts_have_the_same_bytes_whenever_they_are_written(folder):
    """RFC 1952: no flags, so no file's name behind the header, and no time in it."""
    export(folder, "bm25")
    packed = (folder / "work/exports/tiny.texts/part-00000.jsonl.gz").read_bytes()
    assert packed[:8] == b"\x1f\x8b\x08" + bytes(5)
