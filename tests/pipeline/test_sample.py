"""The embedded sample: well-formed, and to a ranker like genuine MS MARCO passages."""

import itertools
import json
import re
from collections import Counter

import pytest
import sample_statistics
from conftest import REPOSITORY, real_collection

from repro.collections.opening import SAMPLE, open_collection
from repro.collections.scan import scan_corpus, warn_of_unknown

SPLITS = ("test", "train")


@pytest.fixture(scope="module")
def records():
    with open(SAMPLE / "corpus.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def terms():
    return sample_statistics.analyser()


@pytest.fixture(scope="module")
def statistics(terms):
    return {split: sample_statistics.look_at(open_collection("sample", split), terms) for split in SPLITS}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def words(text):
    return re.findall(r"\w+", text.lower())


def test_it_is_large_and_broad_enough(records, statistics):
    assert 1500 <= len(records) <= 3000
    assert len({record["metadata"]["subject"] for record in records}) >= 40
    assert statistics["test"].queries >= 300 and statistics["train"].queries >= 350


def test_every_query_has_an_answer_and_judged_passages_that_are_none(tmp_path):
    for split in SPLITS:
        collection = open_collection("sample", split)
        scan_corpus(collection, tmp_path)
        qrels = collection.qrels()
        assert warn_of_unknown(collection, qrels, tmp_path) == (0, 0)
        for query, judgments in qrels.items():
            assert max(judgments.values()) >= 2, query
            assert set(judgments.values()) <= {0, 1, 2, 3} and 0 in judgments.values(), query
            assert len(judgments) >= 10, query  # the pool: the first ten of each of three systems


def test_no_subject_is_in_both_splits(records):
    """What a model learns of the training queries and their answers must not help with the test queries."""
    with open(SAMPLE / "queries.jsonl", encoding="utf-8") as file:
        subject = {record["_id"]: record["metadata"]["subject"] for record in map(json.loads, file)}
    qrels = {split: open_collection("sample", split).qrels() for split in SPLITS}
    subjects = {split: {subject[query] for query in qrels[split]} for split in SPLITS}
    assert not subjects["test"] & subjects["train"]
    assert subjects["test"] | subjects["train"] == {record["metadata"]["subject"] for record in records}
    answers = {
        split: {d for judged in qrels[split].values() for d, grade in judged.items() if grade >= 2}
        for split in SPLITS
    }
    assert not answers["test"] & answers["train"]


def test_queries_are_in_the_manner_of_a_search_box():
    queries = list(open_collection("sample").source.queries())
    assert len({query.text for query in queries}) == len(queries)
    assert all(query.text == query.text.lower() and query.text[-1] not in ".?!" for query in queries)
    test, train = (set(open_collection("sample", split).qrels()) for split in SPLITS)
    assert not test & train and len(test | train) == len(queries)


def test_ids_tell_nothing(records):
    """A passage that answers does not stand beside its distractors, where ties would find it."""
    subjects = [record["metadata"]["subject"] for record in records]
    beside = sum(one == other for one, other in itertools.pairwise(subjects))
    assert beside <= 0.06 * len(subjects)
    assert [record["_id"] for record in records] == [f"p{n:04d}" for n in range(1, len(records) + 1)]


@pytest.mark.parametrize("split", SPLITS)
def test_it_looks_to_a_ranker_like_msmarco(statistics, split):
    """The figures of msmarco-mini, by the same script, are in docs/sample.md and below."""
    of = statistics[split]
    assert of.apart <= 0.05 and abs(of.coverage - 0.641) <= 0.15
    assert abs(of.type_token - 0.774) <= 0.04 and abs(of.semicolons - 0.073) <= 0.04
    assert all(abs(found - real) <= 0.15 * real for found, real in zip(of.lengths, (34, 51, 95)))
    assert 0.25 <= of.definitions <= 0.37 and abs(of.words - 5.8) <= 0.6


def test_the_splits_are_judged_alike(statistics):
    """Neither is easier by its grades: shares of answers among judgments, answers of a query."""
    test, train = statistics["test"], statistics["train"]
    for grade in (2, 3):
        one, other = (of.grades[grade] / of.queries for of in (test, train))
        assert abs(one - other) <= 0.35 * max(one, other)
    assert abs(test.relevant - train.relevant) <= 0.35 * max(test.relevant, train.relevant)


def test_no_style_is_the_answer():
    """Of the passages of every style some answer a query and some answer none."""
    for style, count, idle in sample_statistics.styles():
        assert 0 < idle < count, style
    shares = [idle / count for _, count, idle in sample_statistics.styles() if count >= 60]
    assert max(shares) - min(shares) <= 0.5


def test_no_passage_is_a_copy(records):
    sentences = Counter(
        sentence
        for record in records
        for sentence in {" ".join(words(s)) for s in re.split(r"(?<=[.!?])\s+", record["text"])}
        if len(sentence.split()) >= 8
    )
    assert [sentence for sentence, count in sentences.items() if count > 1] == []


def test_the_page_shows_the_statistics(statistics, terms):
    page = (REPOSITORY / "docs/sample.md").read_text(encoding="utf-8")
    shown = page.split(f"<!-- {sample_statistics.BLOCK} -->")[1].split("<!-- /")[0].strip().splitlines()[2:]
    assert [cells(line)[:3] for line in shown] == sample_statistics.rows(statistics.values())
    styles = page.split(f"<!-- {sample_statistics.BLOCK}, styles -->")[1].split("<!-- /")[0]
    for style, count, idle in sample_statistics.styles():
        assert re.search(rf"^\| {style} +\| {count} +\| +{idle} \|$", styles, flags=re.MULTILINE), style
    folder = real_collection("msmarco-mini")
    real = sample_statistics.look_at(open_collection(str(folder), "train"), terms)
    assert [cells(line)[::3] for line in shown] == sample_statistics.rows([real])


def test_readme_shows_some_of_it():
    readme, page = (
        (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "docs/sample.md")
    )
    some = readme.split(f"<!-- {sample_statistics.BLOCK}, some -->")[1].split("<!-- /")[0].strip()
    lines = page.split(f"<!-- {sample_statistics.BLOCK} -->")[1].split("<!-- /")[0].strip().splitlines()[2:]
    assert [cells(line) for line in some.splitlines()[2:]] == [
        cells(lines[i]) for i in sample_statistics.SHOWN
    ]


def test_it_is_plain_utf8_that_ships_with_the_package():
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/train.tsv"):
        text = (SAMPLE / name).read_text(encoding="utf-8")
        assert "\\u" not in text and "\r" not in text
