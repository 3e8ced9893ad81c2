"""Recipes say what was published, and rows are chosen as they say."""

import datasets
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from conftest import REPOSITORY

from repro.base.errors import InputError
from repro.distillation.mining import candidates, mine
from repro.formats.runs import RankedRun
from repro.training.recipe import FOLDER, OPTIONAL, as_yaml, entries_of, read_recipe
from repro.training.rows import choose, passages_of, read_rows, retrieval_task, split

PUBLISHED = REPOSITORY.parent / "shared" / "published.yaml"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_whole(path):
    assert read_recipe(path.stem, {}).name == path.stem


@pytest.mark.parametrize("size", ["tiny", "mini"])
def test_published_recipes_say_what_was_published(size):
    if not PUBLISHED.is_file():
        pytest.skip("no published figures beside the repository")
    told = yaml.safe_load(PUBLISHED.read_text())
    common, own = told["recipes"]["common"], told["recipes"][size]
    recipe = read_recipe(f"splade-{size}", {})
    for ours, theirs in {
        "query_regularizer_weight": "query_regularizer_weight",
        "document_regularizer_weight": "document_regularizer_weight",
        "epochs": "epochs",
        "batch_size": "batch_size",
        "learning_rate": "learning_rate",
        "schedule": "schedule",
        "warmup_ratio": "warmup_ratio",
        "optimizer": "optimizer",
        "fp16": "fp16",
        "max_length": "max_length",
    }.items():
        assert getattr(recipe, ours) == common[theirs], ours
    assert len(recipe.negatives) == common["negatives_per_query"]
    assert own["negatives"].endswith(", ".join(map(str, recipe.negatives)))
    assert recipe.margin_floor == own["margin_floor"]
    assert str(recipe.rows or "all") in own["rows"]
    assert recipe.base == told["hub_names"]["base_models"][size]
    assert recipe.data == {"hub": told["hub_names"]["distillation_data"]}
    assert recipe.origin == "published" and read_recipe("splade-small", {}).origin == "ours"


def test_negatives_are_chosen_by_ascending_margin():
    recipe = read_recipe("splade-mini", {})
    row = {"query": "q", "positive": "p", "label": [5.0, 0.2, 8.0, 3.0, 7.0, 1.5, 2.0, 6.0]}
    row |= {f"negative_{i}": f"n{i}" for i in range(1, 9)}
    # margins ascending: 0.2 (n2), 1.5 (n6), 2 (n7), 3 (n4), 5 (n1), 6 (n8), 7 (n5), 8 (n3);
    # positions 0, 1, 4, 7
    chosen = choose(row, recipe, recipe.margin_scale)
    assert [chosen[f"negative_{i}"] for i in range(1, 5)] == ["n2", "n6", "n1", "n3"]
    assert chosen["label"] == [1.0, 1.5, 5.0, 8.0]  # the least is raised to the floor
    assert set(chosen) == {"query", "positive", *(f"negative_{i}" for i in range(1, 5)), "label"}
    assert choose(row, recipe, 10.0)["label"] == [
        10.0,
        15.0,
        50.0,
        80.0,
    ]  # the floor is of what the teacher says
    assert read_recipe("splade-tiny", {}).negatives == [0, 2, 4, 6]


def test_without_a_floor_a_negative_may_be_better_than_the_positive():
    recipe = read_recipe("splade-mini", {"margin_floor": "null", "negatives": "[0, 2]"})
    row = {"query": "q", "positive": "p", "label": [1.0, -2.0, 3.0]}
    row |= {f"negative_{i}": f"n{i}" for i in (1, 2, 3)}
    assert recipe.margin_floor is None
    chosen = choose(row, recipe, 2.0)
    assert chosen["label"] == [-4.0, 6.0]
    assert (chosen["negative_1"], chosen["negative_2"]) == ("n2", "n3")


def test_what_others_say_is_mixed_in_and_the_hardest_is_that_of_the_mixture():
    changes = {"teacher_share": "0.25", "margin_floor": "null", "negatives": "[0, 1]"}
    recipe = read_recipe("splade-mini", changes)
    row = {"query": "q", "positive": "p", "label": [1.0, 2.0, 3.0], "rest": [30.0, 6.0, 3.0]}
    row |= {f"negative_{i}": f"n{i}" for i in (1, 2, 3)}
    chosen = choose(row, recipe, 4.0)  # .25 x 4 x label + rest: 31, 8, 6
    assert chosen["label"] == [6.0, 8.0]
    assert (chosen["negative_1"], chosen["negative_2"]) == ("n3", "n2")
    assert "rest" not in chosen and "negative_3" not in chosen


def test_held_out_rows_share_no_query_and_no_positive_with_the_others():
    rows = datasets.Dataset.from_dict(
        {"query_id": [0, 1, 2, 3, 0, 5], "positive": ["a", "b", "c", "d", "e", "b"]}
    )
    kept, aside = split(rows, 2)
    assert aside["query_id"][:] == [0, 5] and kept["query_id"][:] == [2, 3]
    kept, aside = split(rows, 0)
    assert len(kept) == 6 and len(aside) == 0
    with pytest.raises(InputError, match="held_out: 6 of 6 rows"):
        split(rows, 6)
    same = datasets.Dataset.from_dict({"query_id": [0, 1, 2], "positive": ["a", "a", "a"]})
    with pytest.raises(InputError, match="held_out: every row shares"):
        split(same, 1)


@pytest.mark.parametrize("label", [[0.5] * 7, None, [0.5] * 7 + [None], [0.5] * 7 + [float("nan")]])
def test_a_label_that_is_not_eight_numbers_is_named(label, tmp_path):
    good = {"query_id": "1", "query": "q", "positive": "p", "label": [0.5] * 8}
    good |= {f"negative_{i}": f"n{i}" for i in range(1, 9)}
    datasets.Dataset.from_list([good, {**good, "label": label}]).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="row 2: label: expected 8 finite margins"):
        read_rows(read_recipe("sample", {}), tmp_path / "rows.parquet")
    datasets.Dataset.from_list([good, good]).to_parquet(tmp_path / "rows.parquet")
    assert len(read_rows(read_recipe("sample", {}), tmp_path / "rows.parquet")) == 2


def test_candidates_alternate_between_runs_without_positives():
    runs = [{"q": ["a", "b", "c"]}, {"q": ["c", "d", "a"]}, {}]
    assert candidates(runs, "q", {"a": 1, "d": 0}, 10) == ["c", "b", "d"]
    assert candidates(runs, "q", {"a": 1}, 2) == ["c", "b"]


def test_the_best_of_a_run_are_found_whatever_the_order_of_its_lines(tmp_path):
    lines = [
        f"q{q} Q0 d{(i * 7) % 50} {1 + (i * 7) % 50} {-((i * 7) % 50)} x" for i in range(50) for q in (1, 2)
    ]
    (tmp_path / "run").write_text("\n".join(lines) + "\n")
    best = ["d0", "d1", "d2"]
    assert dict(RankedRun(tmp_path / "run", 3)) == {"q1": best, "q2": best}


def test_near_duplicates_of_a_positive_are_dropped_and_random_ones_fill_up():
    import random

    texts = {
        "p": "The sky is blue, and so is the sea in the far south of here.",
        "n": "Bread rises with yeast.",
    }
    texts["twin"] = texts["p"].upper().replace(",", "")
    texts |= {f"r{i}": f"random text {i}" for i in range(10)}
    others = [f"r{i}" for i in range(10)]
    (row,) = mine("q", {"p": 1, "gone": 1}, ["twin", "n"], texts, random.Random(0), others, positives=3)
    assert row.positive == "p" and row.negatives[0] == "n"
    assert "twin" not in row.negatives and len(set(row.negatives)) == 8
    (row,) = mine("q", {"p": 1}, ["n"], texts, random.Random(0), ["twin", *others], positives=3)
    assert "twin" not in row.negatives and len(set(row.negatives)) == 8


COLLECTION = "{collection: x, split: test, teacher: t, negatives_from: bm25, depth: 9}"


@pytest.mark.parametrize(
    "change",
    [
        {"negatives": "[9]"},
        {"negatives": "[true]"},
        {"data": "{hub: x, parquet: y}"},
        {"data": "{parquet: null}"},
        {"data": "{collection: x, split: test, teacher: t, negatives_from: bm25, depth: many}"},
        {"epochs": "0"},
        {"epochs": ".nan"},
        {"learning_rate": ".inf"},
        {"batch_size": "2.5"},
        {"fp16": "maybe"},
        {"rows": "0"},
        {"held_out": "-1"},
        {"warmup_ratio": "7"},
        {"max_length": "2"},
        {"seed": "-1"},
        {"seed": "4294967296"},
        {"query_regularizer_weight": "-0.1"},
        {"origin": "[ours]"},
        {"margin_scale": "automatic"},
        {"margin_scale": "base"},
        {"margin_scale": "null"},
        {"margin_floor": "auto"},
        {"epochs": "base"},
        {"batch_size": "auto"},
        {"max_length": "64.0"},
        {"negatives": "[-1]"},
        {"negatives": "[0.5]"},
        {"negatives": "[]"},
        {"negatives": "auto"},
        {"loss": "mse"},
        {"in_batch": "1"},
        {"teacher_share": "0"},
        {"teacher_share": "1.1"},
        {"bm25_share": "-0.1"},
        {"bm25_share": "1"},
        {"active_terms": "auto"},
        {"active_terms": "0"},
        {"active_terms": ".inf"},
        {"active_terms": "true"},
        {"dropout": "1"},
        {"dropout": "-0.1"},
        {"averages": "0.5"},
        {"averages": "[0, 1]"},
        {"averages": "[1.5]"},
        {"averages": "[true]"},
        {"averages": "[.nan]"},
        {"data": COLLECTION.replace("}", ", shards: 3}")},
        {"data": COLLECTION.replace("}", ", rows: many}")},
        {"data": COLLECTION.replace("}", ", held_out: 1.5}")},
        {"data": COLLECTION.replace("}", ", queries_from: [judgments]}")},
        {"data": COLLECTION.replace(", depth: 9", "")},
        {"data": "{parquet: x, rows: 9}"},
    ],
    ids=str,
)
def test_values_that_a_key_cannot_have_are_refused(change):
    with pytest.raises(InputError, match=rf"sample.yaml: {next(iter(change))}: expected .*, found"):
        read_recipe("sample", change)


def test_numbers_that_are_left_to_the_data_are_auto():
    keys = ("margin_scale", "epochs", "learning_rate", "max_length")
    recipe = read_recipe("sample", dict.fromkeys(keys, "auto"))
    assert [getattr(recipe, key) for key in keys] == ["auto"] * 4
    adapt = read_recipe("adapt", {})
    assert [getattr(adapt, key) for key in keys] == ["auto"] * 4
    assert adapt.active_terms == "base" and adapt.averages == [0.33, 0.67, 1]


def test_keys_that_may_be_left_out_change_nothing_where_they_are():
    """Models that were trained before there were such keys are of the same recipe still."""
    recipe = read_recipe("sample", {})
    assert (recipe.loss, recipe.in_batch, recipe.teacher_share) == ("margin_mse", False, 1.0)
    assert recipe.active_terms is None and recipe.dropout is None and recipe.averages == []
    entries = entries_of(recipe)
    assert entries.keys().isdisjoint(OPTIONAL) and entries["name"] == "sample"
    usual = {"loss": "margin_mse", "teacher_share": "1", "active_terms": "null", "averages": "[]"}
    assert entries_of(read_recipe("sample", usual)) == entries
    assert entries_of(read_recipe("sample", {"teacher_share": "0.5"})) == {**entries, "teacher_share": 0.5}


@pytest.mark.parametrize("name", ["adapt", "sample", "splade-mini"])
def test_a_recipe_as_a_card_shows_it_is_a_recipe(name, tmp_path):
    recipe = read_recipe(name, {"seed": "7"})
    (tmp_path / f"{name}.yaml").write_text(as_yaml(recipe))
    assert read_recipe(str(tmp_path / f"{name}.yaml"), {}) == recipe


def test_numbers_that_yaml_takes_for_text_are_numbers():
    recipe = read_recipe("sample", {"learning_rate": "8e-5", "active_terms": "1e2", "margin_floor": "5e-1"})
    assert (recipe.learning_rate, recipe.active_terms, recipe.margin_floor) == (8e-5, 100.0, 0.5)


def test_a_collection_may_say_how_it_is_distilled():
    told = COLLECTION.replace(
        "}", ", queries_from: 'titles', rows: 9, negatives: 12, positives: 2, held_out: 3}"
    )
    recipe = read_recipe("sample", {"data": told, "negatives": "[0, 11]"})
    assert recipe.data["negatives"] == 12 and recipe.negatives == [0, 11]
    for data, position in ((told, 12), (told.replace("12", "4"), 4), (COLLECTION, 8)):
        with pytest.raises(
            InputError, match=f"negatives: expected positions from 0 to {position - 1}, found"
        ):
            read_recipe("sample", {"data": data, "negatives": f"[0, {position}]"})


@pytest.mark.parametrize(
    "value", ["[" * 5000, "{a: ", "9" * 5000, "2026-02-31"], ids=["deep", "open", "long", "date"]
)
def test_text_that_is_no_yaml_is_a_sentence(value, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"seed: {value}\n")
    with pytest.raises(InputError, match=r"recipe.yaml(, line \d)?: (not YAML|nested too deep)"):
        read_recipe(str(path), {})
    with pytest.raises(InputError, match=r"--set seed=.*: (not YAML|nested too deep)"):
        read_recipe("sample", {"seed": value})


def test_files_that_are_no_recipes_are_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"base: caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_recipe(str(path), {})
    path.write_text("- a list\n")
    with pytest.raises(InputError, match="expected 'key: value' lines"):
        read_recipe(str(path), {})
    path.write_text("x: b\n[2, 3]: c\n")
    with pytest.raises(InputError, match=r"recipe.yaml, line 2: not YAML \(found unhashable key\)"):
        read_recipe(str(path), {})
    path.write_text("1: a\nx: b\n")
    with pytest.raises(InputError, match="unknown key"):
        read_recipe(str(path), {})
    with pytest.raises(InputError, match="no such recipe or file"):
        read_recipe(f"{path}/inside", {})


def distilled(**changes):
    """Return a table of one row of distillation data with other columns in place of some."""
    row = {"query_id": ["1"], "query": ["q"], "positive": ["p"], "label": [[0.5] * 8]}
    return pyarrow.table(row | {f"negative_{i}": [f"n{i}"] for i in range(1, 9)} | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": ["0.5"]}, "label: expected lists of 8 margins, found string"),
        ({"label": [["a"] * 8]}, "label: expected lists of 8 margins, found list"),
        ({"positive": [7]}, "positive: expected texts, found int64"),
        (
            {"negative_3": pyarrow.array([None], pyarrow.string())},
            "row 1: negative_3: expected a text, found none",
        ),
    ],
)
def test_columns_of_another_kind_are_named(changes, expected, tmp_path):
    pyarrow.parquet.write_table(distilled(**changes), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=expected):
        read_rows(read_recipe("sample", {}), tmp_path / "rows.parquet")


@pytest.mark.parametrize("count", [4, 12])
def test_rows_have_as_many_negatives_as_there_are_columns(count, tmp_path):
    path = tmp_path / "rows.parquet"
    row = {"query_id": ["1"], "query": ["q"], "positive": ["p"], "label": [[0.5] * count]}
    row |= {f"negative_{i}": [f"n{i}"] for i in range(1, count + 1)}
    pyarrow.parquet.write_table(pyarrow.table(row | {"note": ["not looked at"]}), path)
    rows = read_rows(read_recipe("sample", {"negatives": "[0, 3]"}), path)
    assert passages_of(rows) == ["positive", *(f"negative_{i}" for i in range(1, count + 1))]
    assert rows.column_names == ["query_id", "query", *passages_of(rows), "label"]
    assert len(retrieval_task(rows)[1]) == count + 1
    expected = f"expected positions from 0 to {count - 1}, since .* has {count} negatives a row, found"
    beyond = read_recipe("sample", {"data": "{parquet: x}", "negatives": f"[0, {count}]"})
    with pytest.raises(InputError, match=f"recipe sample: negatives: {expected}"):
        read_rows(beyond, path)


def test_a_label_of_as_many_margins_as_there_are_negatives_is_expected(tmp_path):
    path = tmp_path / "rows.parquet"
    row = {"query_id": ["1"], "query": ["q"], "positive": ["p"], "label": [[0.5] * 8]}
    pyarrow.parquet.write_table(pyarrow.table(row | {f"negative_{i}": ["n"] for i in range(1, 5)}), path)
    with pytest.raises(InputError, match="row 1: label: expected 4 finite margins"):
        read_rows(read_recipe("sample", {}), path)
    pyarrow.parquet.write_table(pyarrow.table(row), path)
    with pytest.raises(InputError, match="no column 'negative_1'; expected query_id, query, positive"):
        read_rows(read_recipe("sample", {}), path)


def test_a_share_of_bm25_needs_its_margins(tmp_path):
    path, shared = tmp_path / "rows.parquet", read_recipe("sample", {"bm25_share": "0.5"})
    pyarrow.parquet.write_table(distilled(bm25=[[1.5] * 8]), path)
    assert read_rows(shared, path)["bm25"][0] == [1.5] * 8
    pyarrow.parquet.write_table(distilled(bm25=[[1.5] * 7]), path)
    with pytest.raises(InputError, match="row 1: bm25: expected 8 finite margins"):
        read_rows(shared, path)
    assert "bm25" not in read_rows(read_recipe("sample", {}), path).column_names  # nor is it looked at
    pyarrow.parquet.write_table(distilled(), path)
    with pytest.raises(InputError, match=r"no column 'bm25', .* make the data with .* --bm25, or set"):
        read_rows(shared, path)


def test_damaged_parquet_is_a_sentence(tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(distilled(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"PAR1", whole[:200], whole[: len(whole) // 2] + b"\xff" * 200 + whole[-200:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"rows.parquet does not load as distillation data \(."):
            read_rows(read_recipe("sample", {}), path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"there are no \*.parquet in it"):
        read_rows(read_recipe("sample", {}), tmp_path / "empty")


@pytest.mark.parametrize("dropout", ["null", "0.1"])
def test_in_batch_negatives_need_equal_passages_to_have_equal_vectors(dropout):
    with pytest.raises(InputError, match=r"adapt\.yaml: dropout: expected 0 beside in_batch"):
        read_recipe("adapt", {"dropout": dropout})
    assert read_recipe("adapt", {"dropout": dropout, "in_batch": "false"}).in_batch is False
