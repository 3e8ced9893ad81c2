"""Whether adapting helps: variants chosen by other collections, corrected p-values, tables by hand."""

import dataclasses
import json
import os
import time
from pathlib import Path

import pytest
from conftest import refused, run_here

from repro.base.errors import InputError
from repro.benchmarks.adapted import adapted_tables, best_elsewhere, left_out, record, share_of_the_way
from repro.benchmarks.adapting import Adaptation, pool
from repro.benchmarks.wall_time import WallTime, run_timed
from repro.cli.bench_options import AdaptedCollection, Variant, adapted_collections, variants
from repro.evaluation.measures import Figures
from repro.evaluation.significance import Difference

SAMPLE = ["--collections", "sample:train:test"]


def adaptation(collection, variant="adapt", difference=0.05, p=0.01, **changes):
    """An adaptation of a base with nDCG@10 .4 and RR@10 .5, of which the latter does not move."""
    made = Adaptation(
        collection=collection,
        variant=variant,
        queries=1200,
        before={"nDCG@10": 0.4, "RR@10": 0.5},
        after={"nDCG@10": 0.4 + difference, "RR@10": 0.5},
        differences={
            "nDCG@10": Difference(difference, p, 700, 300, 1200),
            "RR@10": Difference(0.0, 1.0, 0, 0, 1200),
        },
        query_terms=(17.84, 16.0),
        document_terms=(120.0, 100.0),
        teacher=0.6,
        kept=0.67,
        wall=WallTime(150.0, with_data=True),
    )
    return dataclasses.replace(made, **changes)


def rows(text, first):
    """Return the cells of the rows that begin with ``first``, in all tables of a text."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [line for line in lines if line[0] == first]


def test_a_base_with_factors_is_told_from_the_base_itself():
    base, factors = adaptation("a", kept=0.0), adaptation("b", kept=0.0, factors=True)
    told = adapted_tables([base, factors])
    assert rows(told, "a")[1][1] == "0%" and rows(told, "b")[1][1] == "0%, factors"


def test_collections_are_parsed():
    assert adapted_collections("a/folder:train:dl19+dl20,sample:train:dev/small") == (
        AdaptedCollection("a/folder", "train", ("dl19", "dl20")),
        AdaptedCollection("sample", "train", ("dev/small",)),
    )


def test_variants_are_parsed():
    assert variants("adapt;batch_size=8  seed=1;'data={collection: c}'") == (
        Variant("adapt"),
        Variant("batch_size-8-seed-1", ("batch_size=8", "seed=1")),
        Variant("data--collection-c", ("data={collection: c}",)),
    )


def test_long_variants_have_names_of_their_own_that_fit_files():
    one, other = variants(f"base={'x' * 300};base={'x' * 300}y")
    assert one.name != other.name and len(one.name) == len(other.name) == 60


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "adapt: name the collections, --collections FOLDER:TRAIN:TEST,..."),
        (["--collections", "tiny:test"], "--collections tiny:test: expected FOLDER:TRAIN:TEST"),
        (["--collections", "tiny:train:"], "expected FOLDER:TRAIN:TEST"),
        (["--collections", "tiny:train:test+test"], "each once"),
        (["--collections", "tiny:test:dev+test"], "the split test would be learned from and measured"),
        (["--collections", "tiny:train:test,./tiny:a:b"], "./tiny occurs twice"),
        (["--collections", "nowhere:train:test"], "there is no folder nowhere"),
        (["--collections", "tiny:train:test"], "tiny has no split 'train'; choose --split from: test"),
        (["--collections", "tiny:a:dev", "--queries-from", "passages"], "tiny has no split 'dev'"),
        ([*SAMPLE, "--system", "splade-tiny"], "--variants base=..."),
        (
            [*SAMPLE, "--variants", "seed=1;seed=2"],
            "name two collections or more",
        ),
        (
            [*SAMPLE, "--variants", "seed=1;"],
            "--variants '': expected KEY=VALUE",
        ),
        (
            [*SAMPLE, "--variants", "seed"],
            "--variants 'seed': expected KEY=VALUE",
        ),
        ([*SAMPLE, "--variants", "seed='1"], "no closing quotation"),
        ([*SAMPLE, "--variants", "seed=1;seed=1"], "seed-1 occurs twice"),
        ([*SAMPLE, "--variants", "sed=1"], "unknown key 'sed'"),
        ([*SAMPLE, "--variants", "data='{hub: a/b}'"], "expected a collection"),
    ],
)
def test_mistakes_are_told_before_any_work(arguments, sentence, beir):
    folder = beir.parent
    assert sentence in refused("repro.bench", "adapt", *arguments, cwd=folder, by=run_here)
    assert not (folder / "work").exists()


def test_a_collection_has_no_say_in_its_own_variant():
    """On c, "bold" is best by far; a and b are better off with "shy"."""
    differences = {
        "bold": {"a": -0.02, "b": 0.01, "c": 0.30},
        "shy": {"a": 0.01, "b": 0.02, "c": 0.03},
    }
    assert [best_elsewhere(differences, name) for name in "abc"] == ["bold", "bold", "shy"]
    found = [
        adaptation(name, variant, difference)
        for variant, of in differences.items()
        for name, difference in of.items()
    ]
    chosen = {one.collection: (one.variant, one.differences["nDCG@10"].mean) for one in left_out(found)}
    assert chosen == {"a": ("bold", -0.02), "b": ("bold", 0.01), "c": ("shy", 0.03)}


def test_equals_go_to_the_first_variant_and_one_needs_no_other_collection():
    assert best_elsewhere({"x": {"a": 1.0, "b": 0.5}, "y": {"a": 0.0, "b": 0.5}}, "a") == "x"
    assert best_elsewhere({"x": {"a": -1.0}}, "a") == "x"


def test_the_tables_by_hand():
    found = [
        adaptation("a", p=0.04),
        adaptation("b", difference=-0.01, p=0.5, kept=None, teacher=None, wall=None),
        adaptation("c", p=0.001, wall=WallTime(90.0, with_data=False)),
    ]
    text = adapted_tables(found)
    assert text.startswith("| collection ")
    effects, costs = zip(rows(text, "a"), rows(text, "b"), rows(text, "c"))
    level = ["0.5000 → 0.5000", "+0.0000", "1.0000"]
    assert effects == (
        # Holm over three: .001 x 3, .04 x 2, .5 x 1
        ["a", "adapt", "1,200", "0.4000 → 0.4500", "+0.0500", "0.0400", "0.0800", *level],
        ["b", "adapt", "1,200", "0.4000 → 0.3900", "-0.0100", "0.5000", "0.5000", *level],
        ["c", "adapt", "1,200", "0.4000 → 0.4500", "+0.0500", "0.0010", "0.0030", *level],
    )
    terms = ["17.8 → 16.0", "120.0 → 100.0"]
    assert costs == (
        ["a", "67%", "2.5", *terms, "0.6000", "25%"],
        ["b", "–", "–", *terms, "–", "–"],
        ["c", "67%", "1.5*", *terms, "0.6000", "25%"],
    )
    assert "rises on 2 of 3 collections, significantly on 1, and falls on 1, significantly on 0" in text
    assert "mean difference is +0.0300" in text and "Without distillation" in text
    assert "best on the others" not in text and "| mean " not in text


def test_what_did_not_help_is_listed():
    found = [
        adaptation("a", "shy", 0.01),
        adaptation("a", "bold", -0.03),
        adaptation("b", "shy", 0.02),
        adaptation("b", "bold", -0.05),
    ]
    text = adapted_tables(found)
    assert rows(text, "shy") == [["shy", "+0.0150", "+0.0100", "+0.0200"]]
    assert rows(text, "bold") == [["bold", "-0.0400", "-0.0300", "-0.0500"]]
    assert "best on the others" in text and "Without distillation" not in text
    assert [line[1] for line in rows(text, "a")[:1]] == ["shy"]


def test_the_correction_is_for_the_collections_that_are_shown():
    """Two collections, four adaptations: twice the lesser p-value, not four times."""
    found = [
        adaptation(name, variant, d, p)
        for name, p in (("a", 0.01), ("b", 0.2))
        for variant, d in (("x", 0.1), ("y", 0.0))
    ]
    written = json.loads(json.dumps(record(found)))
    assert [(one["variant"], one["holm"]) for one in written["left_out"]] == [("x", 0.02), ("x", 0.2)]
    assert written["left_out"][0]["way"] == pytest.approx(0.5)
    assert [one["variant"] for one in written["adaptations"]] == ["x", "y", "x", "y"]


def test_there_is_no_way_to_a_teacher_that_is_not_ahead():
    assert share_of_the_way(adaptation("a", teacher=0.4)) is None
    assert share_of_the_way(adaptation("a", difference=-0.1)) == pytest.approx(-0.5)


def test_splits_are_pooled_by_query():
    one = Figures({}, {"1": {"nDCG@10": 1.0, "RR@10": 1.0}}, 1, 0)
    other = Figures({}, {"1": {"nDCG@10": 0.4, "RR@10": 0.5}, "2": {"nDCG@10": 0.1, "RR@10": 0.0}}, 1, 3)
    pooled = pool({"dl19": one, "dl20": other})
    assert list(pooled.per_query) == ["dl19 1", "dl20 1", "dl20 2"]
    assert pooled.mean == pytest.approx({"nDCG@10": 0.5, "RR@10": 0.5})
    assert (pooled.answered, pooled.unjudged) == (2, 3)


SECONDS = 0.1
"""As long as a model takes to make here; times are kept to a tenth."""


class Making:
    """A stage that makes a model, and its data, unless they are there."""

    def __init__(self, folder: Path, fails: bool = False):
        self.folder, self.fails = folder, fails

    def run(self):
        if self.fails:
            raise InputError("it failed")
        time.sleep(SECONDS)
        for name in ("distilled/data", "adapted/model"):
            manifest = self.folder / f"{name}.manifest.json"
            if not manifest.exists():
                manifest.parent.mkdir(parents=True, exist_ok=True)
                manifest.write_text(json.dumps({"made": os.urandom(8).hex()}))


def timed(folder, **settings):
    return run_timed(Making(folder, **settings), folder / "adapted" / "model", folder / "distilled")


def test_a_reused_model_keeps_its_minutes(tmp_path):
    first = timed(tmp_path)
    assert first is not None and first.with_data and first.seconds >= SECONDS
    assert timed(tmp_path) == first


def test_a_model_made_with_data_that_were_there_says_so(tmp_path):
    timed(tmp_path)
    (tmp_path / "adapted" / "model.manifest.json").unlink()
    again = timed(tmp_path)
    assert again is not None and not again.with_data


def test_data_that_were_begun_before_do_not_count_as_made(tmp_path):
    (tmp_path / "distilled" / "data.partial-1").mkdir(parents=True)
    made = timed(tmp_path)
    assert made is not None and not made.with_data


def test_nobody_knows_the_minutes_of_a_model_made_otherwise(tmp_path):
    Making(tmp_path).run()
    assert timed(tmp_path) is None
    timed(tmp_path)
    (tmp_path / "adapted" / "model.manifest.json").write_text("{}")  # made anew, and not by the benchmark
    assert timed(tmp_path) is None


@pytest.mark.parametrize("interrupted", ["here", "elsewhere"])
def test_nobody_knows_the_minutes_of_a_model_made_in_several_attempts(interrupted, tmp_path):
    if interrupted == "here":
        with pytest.raises(InputError):
            timed(tmp_path, fails=True)
    else:
        (tmp_path / "adapted" / "model.checkpoints").mkdir(parents=True)
    assert timed(tmp_path) is None
    assert timed(tmp_path) is None
    (tmp_path / "adapted" / "model.manifest.json").unlink()
    if interrupted == "here":
        assert timed(tmp_path) is not None
