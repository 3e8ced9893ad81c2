"""Systems that combine others: their names, reciprocal rank fusion by hand, what a cross-encoder is given."""

import os
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    SearchOptions,
    SystemOptions,
    WorkOptions,
)
from repro.collections.model import Document, Query
from repro.dense import cross_encoder
from repro.engines import option_groups
from repro.engines.fusion import fuse
from repro.engines.protocol import CombiningRequest
from repro.engines.reranking import DEPTH, RerankingEngine
from repro.formats.runs import trec_tag
from repro.models.systems import find_system, part_names
from repro.models.weights import Weights, resolve
from repro.pipeline.opening import open_artifacts


def test_a_fusion_and_a_reranking_are_systems_of_systems():
    fused = find_system("bm25+splade-tiny+dense:BAAI/bge-small-en")
    assert (fused.kind, fused.name) == ("fusion", "bm25+splade-tiny+dense.BAAI--bge-small-en")
    assert fused.parts == tuple(map(find_system, ("bm25", "splade-tiny", "dense:BAAI/bge-small-en")))
    reranked = find_system("bm25+splade-tiny>>cross-encoder:cross-encoder/ms-marco-MiniLM-L6-v2@main")
    assert reranked.kind == "reranking" and reranked.parts == (find_system("bm25+splade-tiny"),)
    assert reranked.name == "bm25+splade-tiny++cross-encoder--ms-marco-MiniLM-L6-v2-main"
    assert (reranked.reranker.hub, reranked.reranker.revision) == (
        *("cross-encoder/ms-marco-MiniLM-L6-v2", "main"),
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("bm25", []),
        ("splade:exp+1/final", []),
        ("splade:a+bm25x", []),
        ("dense:c++/m+splade:d+e", ["dense:c++/m", "splade:d+e"]),
        ("bm25>>cross-encoder:a/b>>cross-encoder:c/d", ["bm25>>cross-encoder:a/b"]),
    ],
)
def test_a_plus_combines_only_what_is_a_system(name, parts):
    assert part_names(name) == parts


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / "mine+bm25"
    assert part_names(f"splade:{folder}") == [f"splade:{tmp_path}/mine", "bm25"]
    folder.mkdir()
    assert part_names(f"splade:{folder}") == []
    assert find_system(f"splade:{folder}").local == folder
    assert part_names(f"bm25+splade:{tmp_path}") == ["bm25", f"splade:{tmp_path}"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bm25+nothing", "unknown system 'bm25+nothing'; .* A+B fuses two of them, and A>>cross-encoder:"),
        ("+bm25", "unknown system ''"),
        ("bm25+splade-tiny+", "unknown system 'splade-tiny+'"),
        (
            "bm25>>splade-tiny",
            "expected cross-encoder:<folder or Hub name> behind the >>, found 'splade-tiny'",
        ),
        ("bm25>>cross-encoder:", "expected cross-encoder:<folder or Hub name> behind the >>"),
        ("bm25>>cross-encoder:nowhere", "there is no such folder, and it is no Hub name"),
        ("nothing>>cross-encoder:a/b", "unknown system 'nothing'"),
        ("+".join(f"dense:owner/{'x' * 40}{i}" for i in range(4)), "too long for the name of a file"),
    ],
)
def test_what_combines_nothing_is_refused(name, sentence):
    with pytest.raises(InputError, match=sentence.replace("+", r"\+")):
        find_system(name)


def test_a_system_is_not_fused_with_itself(beir, tmp_path, monkeypatch):
    """By whatever name it goes."""
    monkeypatch.chdir(tmp_path)
    os.symlink(resolve(find_system("splade-tiny")).path, tmp_path / "mine")
    for name in ("bm25+bm25", "splade:mine+splade:./mine", "bm25+splade:mine+bm25"):
        with pytest.raises(InputError, match=r"names .* twice; fuse systems that differ"):
            open_artifacts(name, CollectionOptions(str(beir)), WorkOptions(tmp_path / "work"))


def test_options_are_those_of_all_parts():
    groups = option_groups(find_system("bm25+splade-tiny>>cross-encoder:a/b"))
    assert set(groups) == {Bm25Options, EncodingOptions, SearchOptions}
    assert DenseOptions in option_groups(find_system("bm25+all-minilm-l6-v2"))


def test_tags_are_trecs():
    names = ["bm25", "bm25+splade-tiny", "arctic-embed-m-v1.5", "bm25++cross-encoder.judge-1a2b3c"]
    tags = [trec_tag(name) for name in [*names, f"{names[-1]}d"]]
    assert tags[:3] == ["bm25", "bm25-splade-tiny", "arctic-embed-m-v1-5"]
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,25}", tag) for tag in tags) and len(set(tags)) == len(tags)


def test_ranks_are_fused_by_hand():
    found = fuse([["a", "b"], ["b", "c"], []], 10, "anserini")
    assert list(found) == ["b", "a", "c"]
    np.testing.assert_allclose(list(found.values()), [1 / 61 + 1 / 62, 1 / 61, 1 / 62], rtol=1e-6)


def test_equal_sums_go_by_docid_at_the_cut_too():
    rankings = [["d1", "d2"], ["d3", "d4"], ["d2", "d1"]]
    for ties, order in (("anserini", ["d1", "d2", "d3", "d4"]), ("trec_eval", ["d2", "d1", "d3", "d4"])):
        for depth in (1, 3, 9):
            found = fuse(rankings, depth, ties)
            assert list(found) == order[:depth]
            values = np.array(list(found.values()), dtype=np.float32)
            assert (values[1:] < values[:-1]).all()  # as a run file has them


class Lengths:
    """In the place of a cross-encoder: a pair's score is the length of its passage."""

    parameters = 7
    seen: list[tuple[str, str]]

    def __init__(self, folder, threads):
        type(self).seen = []

    def __call__(self, pairs):
        self.seen.extend(pairs)
        return np.array([float("nan") if "nan" in text else len(text) for _, text in pairs], dtype=np.float32)


def rerank(tmp_path, monkeypatch, run, documents):
    monkeypatch.setattr(cross_encoder, "PairScorer", Lengths)
    queries = [Query(query, f"text of {query}") for query in ("q1", "q2")]
    weights = Weights(Path("judge"), "", "")
    request = CombiningRequest(
        [run], queries, lambda: iter(documents), weights, SystemOptions(), 1, tmp_path / "texts"
    )
    with ExitStack() as stack:
        combined = RerankingEngine().combine(request, stack)
        assert combined.parameters == 7
        results = dict(combined.results)
    assert not list(tmp_path.iterdir())
    return results


def test_the_first_hundred_are_reranked_and_equal_passages_scored_once(tmp_path, monkeypatch):
    documents = [Document(f"d{i}", "x" * (i % 150)) for i in range(300)]
    ranking = [f"d{i}" for i in range(120, 280)]
    results = rerank(tmp_path, monkeypatch, {"q1": ranking}, documents)
    assert results["q1"] == {docid: int(docid[1:]) % 150 for docid in ranking[:DEPTH]}
    assert results["q2"] == {} and DEPTH == 100
    equal = rerank(tmp_path, monkeypatch, {"q2": ["d5", "d155", "d7"]}, documents)
    assert equal["q2"] == {"d5": 5, "d155": 5, "d7": 7}
    assert Lengths.seen == [("text of q2", "x" * 5), ("text of q2", "x" * 7)]


def test_scores_that_are_not_finite_name_the_query(tmp_path, monkeypatch):
    documents = [Document("d1", "fine"), Document("d2", "nan")]
    with pytest.raises(InputError, match="query q2: the cross-encoder's scores are not all finite"):
        rerank(tmp_path, monkeypatch, {"q1": ["d1"], "q2": ["d1", "d2"]}, documents)
