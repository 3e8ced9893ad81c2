"""``repro.table --plan`` as a user types it: everything is measured, and nothing is left behind."""

import re
from contextlib import ExitStack

import pytest
from conftest import succeed

from repro.cli.options import CollectionOptions, SearchOptions, SystemOptions, WorkOptions
from repro.forecast import indexes
from repro.forecast.models import overlap
from repro.lucene.reader import open_reader
from repro.pipeline.opening import open_artifacts


def test_a_plan_measures_and_leaves_nothing(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    systems = ["bm25", "splade-tiny", "splade-doc:splade-tiny", "bm25+splade-tiny", "all-minilm-l6-v2"]
    options = [
        "--collection",
        "sample",
        "--systems",
        ",".join(systems),
        "--plan",
        "--threads",
        "2",
        "--hours",
        "24",
    ]
    environment = {"TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"}
    printed = succeed("repro.table", *options, cwd=tmp_path, **environment)
    assert list(tmp_path.iterdir()) == [temporary]
    assert list(temporary.glob("repro-*")) == []  # torch leaves a cache of its own beside
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "|" in line]
    times = {cells[0]: cells[2:] for cells in lines[2:7]}
    sizes = {cells[0]: cells[2:] for cells in lines[9:]}
    assert list(times) == list(sizes) == [system.replace(":", ".") for system in systems]
    encoded, of_queries, index = sizes["all-minilm-l6-v2"][:3]
    assert encoded.endswith(" MB c") and of_queries.endswith(" MB c")
    assert index == "0.0 MB m"  # a flat index is a link to the vectors
    sizes["all-minilm-l6-v2"][:2] = [encoded.removesuffix(" c"), of_queries.removesuffix(" c")]
    assert times["bm25"][:2] == sizes["bm25"][:2] == ["–", "–"]  # it encodes nothing
    figures = [cell for cells in (*times.values(), *sizes.values()) for cell in cells if cell != "–"]
    assert all(re.fullmatch(r"(≤ |up to )?[\d.]+ (s|min|h|MB|GB)( m)?", figure) for figure in figures)
    assert printed.startswith("1,924 passages of sample, 348 judged queries of sample (counted).\n")
    assert f"In 24 hours: {', '.join(times)} (" in printed


def test_small_indexes_tell_what_one_of_three_times_the_size_takes(measured_sample, tmp_path, monkeypatch):
    """Searching by the line of two sizes, and what the larger of two further ones takes; likewise bytes.

    A search costs what its passages and hits are here, not what the clock says: on a busy machine that cannot
    be told from noise at these sizes, and the plan says so then.
    """
    of = open_artifacts("splade-tiny", CollectionOptions(), WorkOptions(measured_sample / "work"))
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    (vectors / "documents").symlink_to(of.documents.path)
    (vectors / "queries").symlink_to(of.queries.path)

    visits = overlap(vectors / "documents", vectors / "queries")

    def counted(built, search, hits):
        with ExitStack() as stack:
            assert len(list(search(built.request, stack))) == indexes.QUERIES
        with open_reader(built.request.index) as reader:
            return 1e-4 + 1e-7 * reader.numDocs() * visits + 1e-6 * hits

    monkeypatch.setattr(indexes, "_searching", counted)

    def measured(*sizes):
        monkeypatch.setitem(indexes.SIZES, "impacts", sizes)
        (tmp_path / str(sizes[1])).mkdir()
        found, _ = indexes.measure_lucene(
            vectors, None, SystemOptions(), 1, compiled=False, folder=tmp_path / str(sizes[1])
        )
        assert found is not None and not found[1].unclear
        return found

    (index, search), (larger_index, larger) = measured(500, 3_000), measured(1_000, 9_000)
    postings = larger_index.measured
    assert index.bytes.at(postings) == pytest.approx(larger_index.bytes.at(postings), rel=0.2)
    taken = 1e-4 + 1e-7 * 9_000 * visits + 1e-6 * SearchOptions().hits
    for rate in (search, larger):
        assert rate.seconds.at(9_000 * visits) == pytest.approx(taken, rel=0.1)
