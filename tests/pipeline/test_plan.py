"""``repro.table --plan`` as a user types it: everything is measured, and nothing is left behind."""

import re

from conftest import succeed


def test_a_plan_measures_and_leaves_nothing(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    systems = "bm25,splade-tiny,splade-doc:splade-tiny,bm25+splade-tiny"
    options = ["--collection", "sample", "--systems", systems, "--plan", "--threads", "2", "--hours", "24"]
    environment = {"TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"}
    printed = succeed("repro.table", *options, cwd=tmp_path, **environment)
    assert list(tmp_path.iterdir()) == [temporary]
    assert list(temporary.glob("repro-*")) == []  # torch leaves a cache of its own beside
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "|" in line]
    times = {cells[0]: cells[2:] for cells in lines[2:6]}
    sizes = {cells[0]: cells[2:] for cells in lines[8:]}
    assert list(times) == list(sizes) == ["bm25", "splade-tiny", "splade-doc.splade-tiny", "bm25+splade-tiny"]
    assert times["bm25"][:2] == sizes["bm25"][:2] == ["–", "–"]  # it encodes nothing
    figures = [cell for cells in (*times.values(), *sizes.values()) for cell in cells if cell != "–"]
    assert all(re.fullmatch(r"[\d.]+ (s|min|h|MB|GB)( m)?", figure) for figure in figures)
    assert printed.startswith("1,924 passages of sample, 348 judged queries of sample (counted).\n")
    assert "In 24 hours: bm25, splade-tiny, splade-doc.splade-tiny, bm25+splade-tiny (" in printed
