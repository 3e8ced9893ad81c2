"""What repro.train refuses before any work, in one sentence."""

import pytest
from conftest import refused, run_here

TRAIN = ["repro.train", "--recipe"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sample", "--set", "learning=1"], "unknown key 'learning'"),
        (["sample", "--set", "learning_rate=[]"], "learning_rate: expected a finite number"),
        (["nothing"], "choose from adapt, boolq, sample, sample-doc, scratch, splade-mini"),
        (["half.yaml"], "is missing"),
        (["sample", "--report-to", "nothing"], "--report-to nothing: nothing is not supp"),
        (["sample", "--set", "base=bm25"], "base: bm25: there is no such folder"),
        (
            ["sample", "--set", "data={parquet: nowhere}"],
            "there is no nowhere; make it with python -m repro.distill",
        ),
        (["sample", "--mlm", "sample"], "expected either --recipe"),
    ],
)
def test_recipes_are_checked(arguments, expected, tmp_path):
    (tmp_path / "half.yaml").write_text("base: splade-tiny\n")
    assert expected in refused(*TRAIN, *arguments, cwd=tmp_path, by=run_here)


def test_minutes_are_checked(tmp_path):
    error = refused("repro.train", "--mlm", "sample", "--minutes", "0", cwd=tmp_path, by=run_here)
    assert "--minutes 0" in error
