"""Races run through on the sample and say who won; their figures are README's business, not the tests'."""

import json

from conftest import refused, succeed


def test_encoders_are_raced_with_random_weights(tmp_path):
    said = ["--shape", "tiny", "--limit", "20", "--every", "10", "--rounds", "1", "--threads", "2"]
    (tmp_path / "README.md").write_text(
        "<!-- bench encode splade-random-tiny -->\n<!-- /bench encode splade-random-tiny -->\n"
    )
    printed = succeed(
        "repro.bench", "encode", *said, "--only", "batch 4", "--json", "race.json", cwd=tmp_path
    )
    race = json.loads((tmp_path / "race.json").read_text())
    assert race["fastest_peer"] == "SparseEncoder, float32, batch 4" and race["ours"]["rate"] > 0
    assert f"**{race['ratio']} x**" in printed and printed.strip() in (tmp_path / "README.md").read_text()


def test_shapes_are_of_encode_and_train(tmp_path):
    assert "--shape is of encode and train" in refused(
        "repro.bench", "index", "--shape", "mini", cwd=tmp_path
    )
