"""What is measured on which collection, and from which grade on a document counts as relevant."""

import pytest
from conftest import write_beir

from repro.base.errors import InputError
from repro.cli.options import MeasureOptions
from repro.collections.opening import open_collection
from repro.evaluation.measures import evaluate, parse_measures
from repro.evaluation.standards import measures_of, relevance_level

QRELS = {"q": {"a": 1, "b": 2, "c": 3, "d": 0}}
RUN = [("q", {"a": 4.0, "d": 3.0, "b": 2.0, "e": 1.0})]


def names(collection, documents=None, **options):
    official = open_collection(collection).official_measures()
    return [str(measure) for measure in measures_of(official, MeasureOptions(**options), documents)]


@pytest.mark.parametrize(
    "collection",
    [
        "msmarco-passage/trec-dl-2019/judged",
        "msmarco-passage/trec-dl-2020",
        "msmarco-passage-v2/trec-dl-2021",
    ],
)
def test_deep_learning_tracks_count_from_grade_2(collection):
    assert names(collection) == ["nDCG@10", "RR(rel=2)@10", "AP(rel=2)", "R(rel=2)@1000"]


@pytest.mark.parametrize(
    "collection",
    ["msmarco-passage/dev/small", "vaswani", "beir/scifact/test", "msmarco-document/trec-dl-2019"],
)
def test_others_count_from_grade_1(collection):
    assert names(collection, 10_000) == ["RR@10", "nDCG@10", "R@10", "R@1000"]


@pytest.mark.parametrize(
    ("split", "level"),
    [("dl19", 2), ("dl20", 2), ("trec-dl-2019", 2), ("dl-2020", 2), ("test", 1), ("dl3", 1), ("padl19", 1)],
)
def test_splits_named_for_a_deep_learning_track_follow_it(tmp_path, split, level):
    folder = write_beir(tmp_path / "c")
    (folder / "qrels/test.tsv").rename(folder / f"qrels/{split}.tsv")
    assert relevance_level(open_collection(str(folder), split).official_measures()) == level


def test_options_override_the_collection():
    assert names("vaswani", relevance_level=3)[1] == "RR(rel=3)@10"
    assert names("msmarco-passage/trec-dl-2019", relevance_level=1)[0] == "RR@10"
    asked = {"measures": ["P@5", "nDCG@5"], "relevance_level": 2}
    assert names("vaswani", **asked) == ["P(rel=2)@5", "nDCG@5"]
    twice = ["AP", "AP(rel=2)", "nDCG@5", "NDCG@5"]
    assert names("vaswani", measures=["AP", "AP(rel=1)", "nDCG@5"]) == ["AP", "nDCG@5"]
    assert names("vaswani", measures=twice, relevance_level=2) == ["AP(rel=2)", "nDCG@5"]
    with pytest.raises(InputError, match="contradict each other"):
        names("vaswani", measures=["AP(rel=3)"], relevance_level=2)


@pytest.mark.parametrize(
    ("documents", "recalls"),
    [(1001, ["R@10", "R@1000"]), (1000, ["R@10", "R@100"]), (100, ["R@10"]), (3, ["R@10"])],
)
def test_recall_at_a_cut_that_holds_the_whole_collection_gives_way(documents, recalls):
    assert [name for name in names("vaswani", documents) if name.startswith("R@")] == recalls


def test_binary_measures_count_from_the_level_and_ndcg_all_grades():
    """By hand: at level 2 the first relevant is the third, b, and one of two relevant ones is found."""
    figures = evaluate(QRELS, RUN, parse_measures(["RR@10", "RR(rel=2)@10", "R(rel=2)@10", "AP(rel=2)"])).mean
    assert figures == pytest.approx(
        {"RR@10": 1.0, "RR(rel=2)@10": 1 / 3, "R(rel=2)@10": 1 / 2, "AP(rel=2)": 1 / 6}
    )
