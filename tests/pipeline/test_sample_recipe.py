"""README's first training command, shortened: from nothing to the model's row in the table, offline."""

from conftest import run_here, succeed


def test_the_samples_recipe_makes_its_data_offline_and_has_a_row_in_the_table(tmp_path):
    """The other rows of that table are measured in test_table.py."""
    short = ["--set", "epochs=1", "evaluations=1", "max_length=48", "--threads", "2"]
    succeed("repro.train", "--recipe", "sample", *short, cwd=tmp_path, by=run_here, HF_HUB_OFFLINE="1")
    assert (tmp_path / "work/distilled/sample-train.all-minilm-l6-v2").is_dir()
    stages = succeed("repro.table", "--dry-run", cwd=tmp_path, HF_HUB_OFFLINE="1").splitlines()
    due = [line for line in stages if "splade:work/trained/splade-sample" in line]
    assert [line.split()[2] for line in due] == ["repro.encode", "repro.index", "repro.search"]
    table = ["repro.table", "--systems", "splade:work/trained/splade-sample"]
    printed = succeed(*table, cwd=tmp_path, by=run_here, HF_HUB_OFFLINE="1")
    row = next(line for line in printed.splitlines() if line.startswith("| splade-sample "))
    assert 0.3 < float(row.split("|")[4]) < 1
