"""Queries drawn from a collection's texts: what they are, and that a draw depends on the seed alone."""

import random

import pytest

from repro.collections.model import LONGEST_ID, Document, Query
from repro.distillation.drawing import draw, spans, title_query

WORDS = ["tide", "moon", "bread", "yeast", "storm", "salt", "ocean", "flour", "week", "carbon"]


def corpus(size: int, words: int = 40) -> list[tuple[str, Document]]:
    """Documents of random words, every second one with a title."""
    rng = random.Random(3)
    documents = []
    for i in range(size):
        title = f"About {i}" if i % 2 else ""
        text = " ".join(f"{rng.choice(WORDS)}{rng.randrange(100)}" for _ in range(words))
        documents.append((title, Document(f"d{i}", f"{title} {text}".strip())))
    return documents


def drawn(documents, number, *sources, seed=42, excluded=frozenset(), known=()):
    return draw(lambda: iter(documents), sources or ["passages"], number, seed, excluded, known)


def test_a_span_is_of_four_to_twelve_words_of_its_document():
    documents = corpus(200)
    texts = {document.id: document.text for _, document in documents}
    queries = drawn(documents, 100)
    assert len(queries) == len({each.query.text for each in queries}) == 100
    for query, docid in ((each.query, each.document) for each in queries):
        assert query.text in texts[docid] and 4 <= len(query.text.split()) <= 12
        assert query.id == f"from.passages.{docid}"
    assert {len(each.query.text.split()) for each in queries} == set(range(4, 13))


def test_a_draw_is_decided_by_the_seed_and_not_by_the_order_of_documents():
    documents = corpus(200)
    shuffled = random.Random(1).sample(documents, len(documents))
    queries = drawn(documents, 50, "titles", "passages")
    assert queries == drawn(shuffled, 50, "titles", "passages") == drawn(documents, 50, "passages", "titles")
    assert {each.document for each in queries} != {each.document for each in drawn(documents, 50, seed=1)}


def test_documents_are_drawn_evenly():
    """Of 100 documents, 20 are drawn with each of 200 seeds; none stands out."""
    documents = corpus(100, 6)
    times = dict.fromkeys((document.id for _, document in documents), 0)
    for seed in range(200):
        for each in drawn(documents, 20, seed=seed):
            times[each.document] += 1
    assert sum(times.values()) == 4000 and min(times.values()) > 15 and max(times.values()) < 70


def test_a_document_gives_several_spans_only_where_there_are_too_few_documents():
    documents = corpus(10)
    queries = drawn(documents, 25)
    assert len({each.query.text for each in queries}) == 25
    assert [each.query.id for each in queries if each.document == "d0"][:2] == [
        "from.passages.d0",
        "from.passages.d0.2",
    ]
    turns = [sum(each.document == f"d{i}" for each in queries) for i in range(10)]
    assert set(turns) == {2, 3}
    four_words = [("", Document("short", "one two three four"))]
    assert [each.query.text for each in drawn(four_words, 9)] == ["one two three four"]


def test_titles_give_half_and_passages_make_up_for_those_that_lack():
    documents = corpus(40)  # 20 of which have a title
    for _, document in documents[::2]:
        assert title_query("", document.text)
    queries = drawn(documents, 30, "titles", "passages")
    assert sum(each.query.id.startswith("from.titles.") for each in queries) == 15
    same = [("Annual report", Document(f"d{i}", f"Annual report number {i} of {i * i}")) for i in range(40)]
    queries = drawn(same, 30, "titles", "passages")
    assert sum(each.query.id.startswith("from.titles.") for each in queries) == 1 and len(queries) == 30


@pytest.mark.parametrize(
    ("title", "text", "query"),
    [
        ("“Tides”", "“Tides” The moon pulls the oceans.", "Tides"),
        ("", "How do tides come about? The moon pulls the oceans.", "How do tides come about"),
        ("", "Yes. The moon pulls the oceans.", ""),
        ("", " ".join(map(str, range(30))), " ".join(map(str, range(16)))),
        ("", "", ""),
    ],
)
def test_a_title_is_a_query_or_else_the_first_sentence(title, text, query):
    assert title_query(title, text) == query


def test_short_texts_and_punctuation_give_no_query():
    documents = [("", Document("a", "three words only")), ("", Document("b", "- - - - - -"))]
    assert drawn(documents, 5) == [] == list(spans("three words only", random.Random(0)))
    (query,) = drawn([("", Document("c", "edge . the analysis - ends"))], 1)
    assert query.query.text == "edge the analysis ends"
    text = "(the moon pulls, at that, the sea)"
    assert all(
        span[0].isalnum() and span[-1].isalnum() for span, _ in zip(spans(text, random.Random(0)), "x" * 99)
    )


def test_nothing_is_drawn_from_excluded_documents_nor_what_is_known():
    documents = corpus(20, 4)
    excluded = {f"d{i}" for i in range(0, 20, 2)}
    queries = drawn(documents, 50, excluded=excluded)
    assert queries and not excluded & {each.document for each in queries}
    known = [Query("q1", queries[0].query.text.upper()), Query(queries[1].query.id, "another")]
    again = drawn(documents, 50, excluded=excluded, known=known)
    assert queries[0].query.text not in {each.query.text for each in again}
    assert queries[1].query.id not in {each.query.id for each in again}


def test_an_id_that_would_be_too_long_is_left_out():
    name = "d" * LONGEST_ID
    assert drawn([("", Document(name, "one two three four"))], 1) == []
