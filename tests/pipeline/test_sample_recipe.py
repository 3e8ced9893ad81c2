"""README's first training command, shortened: from nothing to the model's row in the table, offline."""

from conftest import succeed


def test_the_samples_recipe_makes_its_data_offline_and_has_a_row_in_the_table(tmp_path):
    short = ["--set", "epochs=1", "evaluations=1", "max_length=48", "--threads", "2"]
    succeed("repro.train", "--recipe", "sample", *short, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert (tmp_path / "work/distilled/sample-train.all-minilm-l6-v2").is_dir()
    printed = succeed("repro.table", cwd=tmp_path, HF_HUB_OFFLINE="1")
    row = next(line for line in printed.splitlines() if line.startswith("| splade-sample "))
    assert 0.3 < float(row.split("|")[4]) < 1
