"""``repro.explain`` on README's three sentences: terms, matches and their sums; texts from a collection."""

import numpy as np
import pytest
from conftest import DOCUMENTS, QUERIES, refused, run_here, succeed

from repro import SpladeEncoder, matching_terms
from repro.models.systems import find_system
from repro.models.weights import resolve

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
SIMILARITIES = [[39.7253, 7.1662, 0], [7.1662, 27.0255, 0.1385], [0, 0.1385, 26.3539]]
STRONGEST = {"today": 2.5437, "lovely": 2.1207, "weather": 2.0432, "summers": 2.0364, "cool": 1.8054}


@pytest.fixture(scope="module")
def encoder():
    return SpladeEncoder(resolve(find_system("splade-tiny")).path, threads=1)


@pytest.fixture
def loaded(encoder, monkeypatch):
    """Have the command take the encoder that is loaded, instead of loading one each time."""
    monkeypatch.setattr("repro.splade.encoder.SpladeEncoder", lambda *_: encoder)


def explained(*arguments):
    """Return the lines that the command prints, split into cells."""
    printed = succeed("repro.explain", *arguments, by=run_here)
    return [line.split("  ") for line in printed.splitlines()]


def cells(line):
    return [cell.strip() for cell in line if cell.strip()]


def test_the_strongest_terms_come_first_with_weight_and_impact():
    title, _, header, *rows, _, rest = map(cells, explained(SENTENCES[0], "--top", 5))
    assert title == ["32 terms, strongest first"] and rest == ["27 more with --top 32"]
    assert header == ["term", "weight", "impact"]
    assert [term for term, _, _ in rows] == list(STRONGEST)
    np.testing.assert_allclose([float(weight) for _, weight, _ in rows], list(STRONGEST.values()), atol=1e-4)
    assert [int(impact) for *_, impact in rows] == [round(w * 256 / 5) for w in STRONGEST.values()]


def test_matching_terms_sum_to_the_dot_product_and_the_score(encoder):
    for query, row in zip(SENTENCES, SIMILARITIES):
        vector = next(encoder.impacts([query]))
        for passage, expected in zip(SENTENCES, row):
            matches = matching_terms(encoder, query, passage)
            assert sum(match.product for match in matches) == pytest.approx(expected, abs=1e-3)
            other = next(encoder.impacts([passage]))
            score = sum(impact * other.get(term, 0) for term, impact in vector.items())
            assert sum(match.impact_product for match in matches) == score
            products = [match.product for match in matches]
            assert products == sorted(products, reverse=True)


def test_the_command_shows_matches_and_their_sums(encoder, loaded):
    lines = [cells(line) for line in explained(SENTENCES[0], "--against", SENTENCES[1], "--top", 2)]
    title, _, header, *rows, total, _, rest = lines
    assert title == ["5 terms in common, greatest product first"] and rest == ["3 more with --top 5"]
    assert header[1:4] == ["query", "passage", "product"]
    for shown, match in zip(rows, matching_terms(encoder, *SENTENCES[:2]), strict=False):
        weights = [f"{value:.4f}" for value in (match.query, match.passage, match.product)]
        impacts = [f"{n:,}" for n in (match.query_impact, match.passage_impact, match.impact_product)]
        assert shown == [match.term, *weights, *impacts]
    assert len(rows) == 2 and total[0] == "sum of all"
    assert float(total[1]) == pytest.approx(SIMILARITIES[0][1], abs=1e-3)
    assert explained(SENTENCES[0], "--against", SENTENCES[2]) == [["no term in common: the score is 0"]]


def test_scale_is_that_of_the_impacts_alone(encoder):
    usual, scaled = (matching_terms(encoder, *SENTENCES[:2], scale=scale) for scale in (256 / 5, 100))
    assert [match[:4] for match in usual] == [match[:4] for match in scaled]
    assert [match.query_impact for match in scaled] == [round(match.query * 100) for match in usual]


def test_texts_of_a_collection_by_their_ids(beir, loaded):
    where = ("--collection", beir)
    query, document = QUERIES[0][1], f"{DOCUMENTS[0][1]} {DOCUMENTS[0][2]}"
    expected = explained(query, "--against", document)
    assert explained(*where, "--query-id", "q1", "--document-id", "d1") == expected
    assert explained(*where, query, "--document-id", "d1") == expected
    assert explained(*where, "--query-id", "q1", "--against", document) == expected
    assert explained(*where, "--query-id", "q1") == explained(query)
    assert explained(*where, "--document-id", "d1") == explained(document)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected a text to explain, or --query-id, or --document-id"),
        (["x", "--query-id", "q1"], "expected a text or --query-id, found both"),
        (["x", "--against", "y", "--document-id", "d1"], "expected --against or --document-id, found both"),
        (["--against", "y"], "--against: expected a text, or --query-id"),
        (["--query-id", "q9"], "--query-id q9: tiny-test has no such query"),
        (["--document-id", "d9"], "--document-id d9: tiny has no such document"),
        (["x", "--top", "0"], "--top 0: expected a whole number from 1 up"),
        (["x", "--system", "bm25"], "--system bm25: only SPLADE models give texts terms with weights"),
        (["x", "--system", "bm25+splade-tiny"], "only SPLADE models give texts terms with weights"),
        (["x", "--system", "nothing"], "unknown system 'nothing'"),
    ],
)
def test_what_cannot_be_explained_is_refused(beir, arguments, sentence):
    assert sentence in refused("repro.explain", "--collection", beir, *arguments, by=run_here)
