"""The embedded sample: well-formed, varied, without copies."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from repro.collections.opening import SAMPLE, open_collection
from repro.collections.scan import scan_corpus, warn_of_unknown


@pytest.fixture(scope="module")
def documents():
    return list(open_collection("sample").documents())


def words(text):
    return re.findall(r"\w+", text.lower())


def sentences(text):
    return [" ".join(words(s)) for s in re.split(r"(?<=[.!?])\s+", text) if len(words(s)) > 2]


def test_it_is_large_and_broad_enough(documents, tmp_path):
    assert scan_corpus(open_collection("sample"), tmp_path).documents >= 400
    assert len({document.id.rsplit("-", 1)[0] for document in documents}) >= 25
    assert len(open_collection("sample", "test").queries()) >= 120
    assert len(open_collection("sample", "train").queries()) >= 200


def test_every_judgment_names_a_passage_and_a_query_of_the_sample(tmp_path):
    for split in ("test", "train"):
        collection = open_collection("sample", split)
        scan_corpus(collection, tmp_path)
        qrels = collection.qrels()
        assert warn_of_unknown(collection, qrels, tmp_path) == (0, 0)
        for query, judgments in qrels.items():
            assert 1 <= len(judgments) <= 3, query
            assert set(judgments.values()) <= {1, 2, 3}, query
            assert max(judgments.values()) >= 2, query


def test_queries_are_in_the_manner_of_a_search_box():
    queries = list(open_collection("sample").source.queries())
    assert len({query.text for query in queries}) == len(queries)
    assert all(query.text == query.text.lower() and query.text[-1] not in ".?!" for query in queries)
    test, train = (set(open_collection("sample", split).qrels()) for split in ("test", "train"))
    assert not test & train and len(test | train) == len(queries)


def test_no_two_passages_share_a_sentence(documents):
    count = Counter(s for document in documents for s in set(sentences(document.text)))
    assert [s for s, n in count.items() if n > 1] == []


def test_lengths_are_those_of_web_answers(documents):
    lengths = sorted(len(document.text.split()) for document in documents)
    assert 45 <= lengths[len(lengths) // 2] <= 80
    assert sum(40 <= n <= 95 for n in lengths) >= 0.85 * len(lengths)
    assert lengths[0] <= 15 and lengths[-1] >= 300


def test_vocabulary_is_varied(documents):
    tokens = [word for document in documents for word in words(document.text)]
    assert len(set(tokens)) >= len(tokens) / 5
    openings = Counter(" ".join(words(document.text)[:2]) for document in documents)
    assert openings.most_common(1)[0][1] <= 0.03 * len(documents)
    trigrams = Counter(t for d in documents for t in pairwise(pairwise(words(d.text))))
    assert sum(n for n in trigrams.values() if n > 5) <= 0.02 * len(tokens)  # no template repeats itself
    assert any(not document.text.isascii() for document in documents)


def test_it_is_plain_utf8_that_ships_with_the_package():
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/train.tsv"):
        text = (SAMPLE / name).read_text(encoding="utf-8")
        assert "\\u" not in text and "\r" not in text
