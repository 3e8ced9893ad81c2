"""README's first training command, shortened: its data, and the model's row in the table, offline."""

import json

from conftest import run_here, succeed

from repro.training.recipe import read_recipe


def test_the_samples_recipe_makes_its_data_offline_and_has_a_row_in_the_table(measured_sample):
    """The other rows of that table are measured in test_table.py; the candidates' index and run are there."""
    data = "data=" + json.dumps(read_recipe("sample", {}).data | {"depth": 10})
    short = ["--set", data, "rows=80", "held_out=16", "epochs=1", "evaluations=1", "max_length=48"]
    here = {"cwd": measured_sample, "by": run_here, "HF_HUB_OFFLINE": "1"}
    succeed("repro.train", "--recipe", "sample", *short, "--threads", "2", **here)
    assert (measured_sample / "work/distilled/sample-train.all-minilm-l6-v2").is_dir()
    stages = succeed("repro.table", "--dry-run", **here).splitlines()
    due = [line for line in stages if "splade:work/trained/splade-sample" in line]
    assert [line.split()[2] for line in due] == ["repro.encode", "repro.index", "repro.search"]
    table = ["repro.table", "--systems", "splade:work/trained/splade-sample"]
    printed = succeed(*table, **here)
    row = next(line for line in printed.splitlines() if line.startswith("| splade-sample "))
    assert 0.3 < float(row.split("|")[4]) < 1
