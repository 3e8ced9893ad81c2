"""The model card: what chose the weights, and its figures."""

import json

import pytest
import yaml

from repro.training.card import model_card
from repro.training.recipe import as_yaml, read_recipe

FACTS = {
    "command": "python -m repro.train --adapt part",
    "rows": 2400,
    "steps": 150,
    "seconds": 61.4,
    "queries": 0,
    "passages": 0,
    "settings": {"margin_scale": 32.22, "document_terms": 123.3},
}
CHOICE = [
    {"share": 0.0, "nDCG@10": 0.5, "RR@10": 0.4, "terms/query": 16.7, "terms/doc": 121.1, "p": None},
    {"share": 0.33, "nDCG@10": 0.55, "RR@10": 0.45, "terms/query": 16.4, "terms/doc": 109.5, "p": 0.0123},
    {"share": 1, "nDCG@10": 0.52, "RR@10": 0.43, "terms/query": 15.7, "terms/doc": 89.4, "p": 0.3},
]


def card(name="adapt", **facts):
    return model_card("splade-mine", read_recipe(name, {}), FACTS | facts)


def rows(text):
    """Return the cells of the table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("kept", [0.0, 0.33, 1])
def test_what_was_chosen_among_is_shown_and_what_is_kept_is_marked(kept):
    why = "kept 33% of the way from the base: nDCG@10 0.5000 -> 0.5500 on 400 held-out queries (p = 0.0123)"
    text = card(choice=CHOICE, kept=kept, why=why)
    assert f"K{why[1:]}." in text
    head, rule, *lines = rows(text)
    assert head == ["weights", "nDCG@10", "RR@10", "terms/query", "terms/doc", "p"]
    assert rule == ["---", *["---:"] * 5]
    names = {0.0: "base", 0.33: "33% of the way", 1: "trained"}
    assert [line[0] for line in lines] == [n + " (kept)" * (s == kept) for s, n in names.items()]
    assert [line[1:] for line in lines] == [
        ["0.5", "0.4", "16.7", "121.1", "–"],
        ["0.55", "0.45", "16.4", "109.5", "0.0123"],
        ["0.52", "0.43", "15.7", "89.4", "0.3"],
    ]


def test_a_model_that_nothing_was_held_out_for_says_so():
    assert "Nothing was held out to measure it by." in card("sample")
    text = card(kept=0.67, why="kept 67% of the way from the base, unmeasured: there are no judged queries")
    assert "Kept 67% of the way from the base, unmeasured: there are no judged queries." in text
    assert not rows(text)


def test_held_out_rows_and_their_figures_are_told():
    figures = {"RR@10": 0.9, "active terms a query": 15.0}
    text = card("sample", held_out=figures, queries=200, passages=1700)
    assert "On 200 held-out queries over the 1,700 passages of their rows" in text
    assert rows(text)[2:] == [["RR@10", "0.9"], ["active terms a query", "15.0"]]


def test_the_card_has_the_recipe_the_data_and_the_settings():
    text, recipe = card(), read_recipe("adapt", {})
    shown = text.partition("```yaml\n")[2].partition("\n```")[0]
    assert yaml.safe_load(shown) == yaml.safe_load(as_yaml(recipe))
    settings = text.partition("Settings: `")[2].partition("`")[0]
    assert json.loads(settings) == FACTS["settings"]
    assert "trained by `python -m repro.train --adapt part`" in text
    assert "Trained on 2,400 rows in 150 steps; 61 seconds." in text


@pytest.mark.parametrize(
    ("name", "expected"), [("adapt", "project's own"), ("splade-mini", "published recipe")]
)
def test_the_header_is_the_hubs(name, expected):
    text = card(name)
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["library_name"] == "sentence-transformers" and "sparse-encoder" in header["tags"]
    assert header["base_model"] == read_recipe(name, {}).base and expected in text
