"""What a table will take: the arithmetic, what is needed, what is done, the sentences; nothing is timed."""

import json
import socket
from dataclasses import replace

import pytest
from conftest import refused, run_here
from made_artifacts import put, put_system

from repro import table
from repro.artifacts.machine import hardware
from repro.base.errors import InputError
from repro.base.memory import free_memory, machine_memory
from repro.cli.options import (
    CollectionOptions,
    MeasureOptions,
    RunsOptions,
    SystemOptions,
    TableOptions,
    WorkOptions,
)
from repro.cli.topics_options import TopicsOptions
from repro.collections.irds import IrDataset
from repro.collections.opening import open_collection
from repro.doctor import little_disk, little_memory
from repro.forecast import making
from repro.forecast.calibration import Calibration
from repro.forecast.counted import Least, least
from repro.forecast.indexes import with_hits
from repro.forecast.making import Forecast, forecast
from repro.forecast.models import like
from repro.forecast.rates import IndexRate, Line, ModelRate, RunRate, SearchRate, TextRate, Unclear
from repro.forecast.rendering import duration, rendered, size
from repro.forecast.sizes import Size
from repro.forecast.steps import (
    DOCUMENTS,
    DONE,
    EVALUATE,
    INDEX,
    QUERIES,
    SEARCH,
    Key,
    Row,
    Step,
    dense_encoding,
    dense_memory,
    dense_searching,
    encoding,
    evaluating,
    fitting,
    indexing,
    searching,
    total,
)
from repro.models.systems import table_systems
from repro.pipeline.opening import open_artifacts
from repro.pipeline.planning import TableRequest, expected, expected_stages

RUNS = RunRate(start=1.0, writing=3e-6, evaluating=2e-6, fusing=1e-6, bytes=40.0, memory=100, reading=1e-5)
MODEL = ModelRate(
    start=3.0,
    memory=500,
    documents=TextRate(256, seconds=0.01, bytes=600.0, terms=100.0),
    queries=TextRate(64, seconds=0.002, bytes=150.0, terms=10.0),
    overlap=4.0,
)
INDEXES = IndexRate(
    start=2.0,
    seconds=Line(0.5, 1e-6),
    bytes=Line(1000, 2.0),
    scratch=Line(1000, 2.0),
    memory=300,
    most=2000,
    measured=1e6,
)
SEARCHES = SearchRate(start=2.0, seconds=Line(5e-4, 1e-8), memory=400, dimensions=384)
DENSE = replace(MODEL, documents=TextRate(64, 0.1, 1540.0, 384.0), overlap=None)


def calibration(request, systems, weights, size):
    """Rates as a calibration returns them, for any systems."""
    models = {of.name: DENSE if of.kind == "dense" else MODEL for of in systems if of.kind != "bm25"}
    return Calibration(
        RUNS,
        models,
        dict.fromkeys(models, "m"),
        impacts=(INDEXES, SEARCHES),
        bm25=(INDEXES, SEARCHES),
        dense=(INDEXES, SEARCHES),
    )


def requested(systems, collection="tiny", **groups):
    """Return a table's request as the command line makes it."""
    return TableRequest(
        CollectionOptions(collection),
        groups.get("options", SystemOptions()),
        groups.get("work", WorkOptions()),
        RunsOptions(),
        MeasureOptions(),
        TableOptions(systems=systems),
        topics=groups.get("topics", TopicsOptions()),
    )


def made(steps):
    """Return the steps that are to be made, by part."""
    return {key.part for key, step in steps.items() if not step.done}


def test_a_line_goes_through_both_sizes():
    line = Line.through((10, 110), (3.0, 13.0))
    assert line == Line(2.0, 0.1) and line.at(1010) == pytest.approx(103.0)
    assert Line.through((10, 110), (0.1, 11.0)) == Line(0.0, 0.1)  # it would begin below 0
    assert Line.through((0, 0), (3.0, 2.0)) == Line(3.0, 0.0)  # no term of the queries is in the index


def test_noise_is_not_taken_for_growth():
    """A millisecond at 20,000 documents would be 0.44 s a query at 8.84 million."""
    assert Line.through((10, 110), (3.0, 3.2), noise=0.1).slope == pytest.approx(0.002)
    for low, high in ((3.0, 3.05), (3.0, 2.2)):
        with pytest.raises(Unclear, match=f"{low:.2g} and {high:.2g} differ by no more than noise"):
            Line.through((10, 110), (low, high), noise=0.1)
    unclear = replace(SEARCHES, unclear="no reason")
    assert searching(10, 1e6, 10, unclear, RUNS, "m").unknown == "no reason"
    assert dense_searching(10, 10, 384, 10, unclear, RUNS, "m").unknown == "no reason"
    assert searching(10, 1e6, 10, replace(unclear, measured=1e6), RUNS, "m").seconds  # nothing grows


def test_a_query_grows_as_with_few_hits_and_takes_what_all_hits_take_at_the_larger_index():
    """In the smaller one a query has not a thousand hits, so a line through both would be too steep."""
    line = with_hits(Line.through((1_000, 11_000), (1e-4, 2e-4)), 11_000, 9e-4)
    assert line.slope == pytest.approx(1e-8) and line.at(11_000) == pytest.approx(9e-4)


def test_seconds_and_bytes_grow_with_texts():
    one, ten = (encoding(DOCUMENTS, texts, MODEL, "m") for texts in (1_000, 10_000))
    assert one.seconds == pytest.approx(3 + 10) and ten.seconds == pytest.approx(3 + 100)
    assert ten.disk == 10 * one.disk == 6_000_000 and one.memory == ten.memory == 500
    queries = encoding(QUERIES, 500, MODEL, "s", started=True)  # by the process that has loaded the model
    assert queries.seconds == pytest.approx(1.0) and queries.disk == 75_000 and queries.basis == "s"


def test_dense_vectors_are_counted_and_written_as_they_come():
    rate = replace(MODEL, documents=TextRate(64, 0.1, 9.9, 384.0))
    step = dense_encoding(DOCUMENTS, 250_000, rate, "m")
    assert step.disk == 250_000 * (4 * 384 + 7) and step.disk_basis == "c"
    assert step.memory == dense_encoding(DOCUMENTS, 10, rate, "m").memory == 500


def test_an_index_grows_with_postings_and_gets_the_heap_beyond_what_was_measured():
    small, large = indexing(1e6, INDEXES), indexing(1e9, INDEXES)
    assert small.seconds == pytest.approx(3.5) and large.seconds == pytest.approx(1002.5)
    assert large.disk == large.scratch == 2_000_001_000
    assert (small.memory, large.memory) == (300, 2000) and large.ceiling and not small.ceiling


def test_a_search_grows_with_queries_and_with_the_postings_that_each_visits():
    step = searching(1000, units=1e6, hits=1000, rate=SEARCHES, runs=RUNS, basis="m")
    assert step.seconds == pytest.approx(2 + 1000 * (5e-4 + 0.01 + 0.003)) and step.disk == 40_000_000
    assert searching(2000, 1e6, 1000, SEARCHES, RUNS, "m").seconds - step.seconds == pytest.approx(13.5)
    assert evaluating(1000, 1000, RUNS).seconds == pytest.approx(2.0)
    assert evaluating(1000, 1000, RUNS).disk == 0


def test_dense_search_holds_two_blocks_hits_and_docids():
    of_msmarco = dense_memory(8_841_823, 55_578, 384, 1000, base=100)
    assert of_msmarco == 100 + 2 * 2**28 + 36 * 1000 * 4096 + 16 * 8_841_823
    assert dense_memory(10, 5, 384, 10, base=0) == 2 * 10 * 384 * 4 + 36 * 10 * 5 + 160


def test_longer_vectors_take_longer_and_what_each_block_takes_counts_as_often():
    short, long = (dense_searching(10, 1_000_000, of, 1000, SEARCHES, RUNS, "m") for of in (384, 768))
    written = 2 + 10 * 1000 * 3e-6
    assert short.seconds == pytest.approx(written + 10 * (6 * 5e-4 + 1_000_000 * 384 * 1e-8))
    assert long.seconds == pytest.approx(written + 10 * (12 * 2 * 5e-4 + 1_000_000 * 768 * 1e-8))


def encodes(system, seconds, splade=True):
    """Return a table system's shape with a model's rates that takes so many seconds a text."""
    rate = MODEL if splade else DENSE
    texts = (replace(of, seconds=seconds) for of in (rate.documents, rate.queries))
    return table_systems()[system].shape, ModelRate(3.0, 500 * 10**6, *texts, rate.overlap)


def test_models_that_are_not_here_are_scaled_to_what_their_shapes_were_measured_to_take():
    """docs/speed.md's passages a second, with AVX2: from splade-tiny's and all-minilm-l6-v2's the others."""
    tiny, minilm = encodes("splade-tiny", 1 / 576), encodes("all-minilm-l6-v2", 1 / 65.2, splade=False)
    measured = {
        "splade-mini": 165,
        "splade-small": 58.5,
        "splade-v3-distilbert": 12.0,
        "arctic-embed-s": 33.9,
        "e5-small-v2": 33.9,
    }
    for name, rate in measured.items():
        found = like(table_systems()[name], 150.0, tiny, minilm, words=6.0)
        assert rate / 1.5 < 1 / found.documents.seconds < rate * 1.5, name
    peaks = {"splade-small": 663 - 542, "splade-v3-distilbert": 997 - 542}  # MB more than splade-tiny's
    for name, more in peaks.items():
        found = like(table_systems()[name], 150.0, tiny, minilm, words=6.0).memory - 500 * 10**6
        assert more * 2**20 / 2 < found < more * 2**20 * 2, name


def test_scaled_models_have_the_sizes_of_published_terms_and_the_prefixes_of_their_queries():
    tiny, minilm = encodes("splade-tiny", 0.002), encodes("all-minilm-l6-v2", 0.016, splade=False)
    of = table_systems()
    mini = like(of["splade-mini"], 150.0, tiny, minilm, words=6.0)
    assert (mini.documents.bytes, mini.documents.terms) == (900.0, 150.0)
    assert mini.overlap == pytest.approx(6.0) and mini.queries.bytes == MODEL.queries.bytes
    small, arctic = (like(of[name], 0.0, None, minilm, 6.0) for name in ("e5-small-v2", "arctic-embed-s"))
    assert small.documents.seconds == arctic.documents.seconds == pytest.approx(0.032)
    assert arctic.queries.seconds > 1.5 * small.queries.seconds > 1.5 * small.documents.seconds
    assert like(of["arctic-embed-m-v1.5"], 0.0, None, minilm, 6.0).documents.terms == 768
    with pytest.raises(InputError, match="nor those of models that its time would follow from"):
        like(of["splade-mini"], 150.0, tiny, None, 6.0)
    with pytest.raises(InputError, match="has no shape of it"):
        like(replace(of["splade-mini"], shape=None), 150.0, tiny, minilm, 6.0)


def steps(**seconds):
    return {Key(part, "x"): Step(of, memory=int(of), disk=of, scratch=of / 2) for part, of in seconds.items()}


def test_what_rows_share_counts_once_in_their_sum():
    index = {Key(INDEX, "bm25"): Step(10.0, disk=100.0, scratch=30.0)}
    rows = [
        Row("one", "bm25", {**index, Key(SEARCH, "one"): Step(1.0, disk=7.0)}),
        Row("other", "fusion", {**index, Key(SEARCH, "other"): Step(2.0, memory=9, disk=8.0, scratch=40.0)}),
    ]
    both = total(rows, common=5.0)
    assert (both.seconds, both.disk, both.scratch, both.memory) == (18.0, 115.0, 40.0, 9)
    assert total(rows[:1]).seconds == 11.0


def within(rows, limit, common=0.0):
    return fitting(rows, limit, lambda of: of.seconds, common)


def test_quick_rows_fit_first_and_what_is_unknown_never():
    rows = [
        Row("slow", "dense", {Key(DOCUMENTS, "slow"): Step(90.0)}),
        Row("quick", "bm25", {Key(SEARCH, "quick"): Step(10.0)}),
        Row("unknown", "splade", {Key(SEARCH, "unknown"): Step(None, unknown="no reason")}),
        Row("middle", "splade", {Key(SEARCH, "middle"): Step(40.0)}),
    ]
    assert [row.system for row in within(rows, 50)] == ["quick", "middle"]
    assert [row.system for row in within(rows, 50, common=1)] == ["quick"]
    assert [row.system for row in within(rows, 1e9)] == ["slow", "quick", "middle"]
    assert within(rows, 5) == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (4, "4.0 s"), (89, "89 s"), (91, "1.5 min"), (5400, "1.5 h"), (400_000, "4.6 days")],
)
def test_durations_are_in_the_unit_that_they_have_few_of(seconds, shown):
    assert duration(seconds) == shown


def test_sizes_are_in_powers_of_ten():
    assert [size(of) for of in (5e5, 2.5e7, 2.44e9, 1.636e11)] == ["0.5 MB", "25 MB", "2.4 GB", "164 GB"]


def shown(rows, free_disk=10**12, free_memory=10**12, hours=(8.0, 60.0), busy=0.0):
    """Render a forecast of rows on a machine that has so much."""
    of = Size(open_collection("sample"), 1924, 348, "counted", [], [], True)
    return rendered(Forecast([of], rows, 0.0, "work", free_disk, free_memory, busy), hours)


def test_what_fits_and_what_does_not_is_told_in_a_line_each():
    rows = [
        Row("quick", "bm25", steps(index=3600.0)),
        Row("large", "dense", {Key(DOCUMENTS, "large"): Step(36_000.0, 6 * 10**9, 5e10, 2e9)}),
    ]
    text = shown(rows)
    assert "In 8 hours: quick (60 min, 0.0 MB); leave out large." in text
    assert "In 60 hours: quick, large (11 h, 50.0 GB)." in text
    assert "Disk: 50.0 GB, and up to 2.0 GB more meanwhile; 1000 GB free at work: enough." in text
    assert "Memory: up to 6.0 GB; 1000 GB free: enough." in text
    text = shown(rows, free_disk=51 * 10**9, free_memory=5 * 10**9, hours=(0.5,))
    assert "51.0 GB free at work: not enough; there is room for quick only, or name a --work on " in text
    assert "Memory: up to 6.0 GB; 5.0 GB free: not enough for large." in text
    assert "In 0.5 hours: no row." in text
    assert "there is room for no row" in shown(rows, free_disk=10)
    assert "busy" not in text
    assert "This machine is busy (4.5 processes for each processor " in shown(rows, busy=4.5)


def test_cells_say_where_figures_come_from_what_is_done_and_what_is_unknown():
    row = Row(
        "x",
        "splade",
        {
            Key(DOCUMENTS, "x"): Step(7200.0, disk=1e9, basis="s", disk_basis="c"),
            Key(QUERIES, "x"): DONE,
            Key(INDEX, "x"): Step(None, disk=None, unknown="it is a graph"),
            Key(SEARCH, "x"): Step(30.0, disk=2e6, basis="e"),
        },
        missing="not here",
    )
    text = shown([row])
    times, sizes = [line for line in text.splitlines() if line.startswith("| x")]
    assert [cell.strip() for cell in times.split("|")[3:-1]] == ["2.0 h s", "done", "?", "30 s e", "–", "?"]
    assert [cell.strip() for cell in sizes.split("|")[3:7]] == ["1.0 GB c", "done", "?", "2.0 MB m"]
    assert "?: it is a graph." in text and "s: scaled by the model's shape" in text
    assert "x: its weights are not here." in text


def test_bounds_are_shown_as_such_and_a_heap_does_not_decide_whether_memory_will_do():
    index = Step(60.0, memory=8 * 10**9, ceiling=True)
    row = Row("x", "bm25", {Key(INDEX, "x"): index, Key(SEARCH, "x"): Step(600.0, 10**9, at_most=True)})
    text = shown([row], free_memory=2 * 10**9)
    times, sizes = [line for line in text.splitlines() if line.startswith("| x")]
    assert "≤ 10 min m" in times and "up to 8.0 GB" in sizes
    assert "Memory: up to 1.0 GB (a stage of Java's takes of up to 8.0 GB what there is)" in text
    assert "2.0 GB free: enough." in text


@pytest.fixture
def tiny(beir, monkeypatch):
    """A folder of six passages and three queries in the current folder; rates instead of a calibration."""
    monkeypatch.chdir(beir.parent)
    monkeypatch.setattr(making, "calibrate", calibration)
    return beir


SYSTEMS = "bm25,splade-tiny,all-minilm-l6-v2,bm25+splade-tiny"


def modules(needed):
    """Return which commands a system's steps would be made by."""
    return [stage.module for stage in needed.stages]


@pytest.mark.parametrize("force", [False, True])
def test_steps_are_those_of_the_stages_that_the_table_would_run(tiny, force):
    request = requested(SYSTEMS, work=WorkOptions(force=force))
    put_system("bm25", {"q1": {"d1": 1.0}})
    put_system("splade-tiny", {"q1": {"d1": 1.0}})
    (needs,) = expected({"tiny": request}).values()
    rows = {row.system: row for row in forecast(request).rows}
    parts = {"repro.encode": {DOCUMENTS, QUERIES}, "repro.index": {INDEX}, "repro.search": {SEARCH}}
    for need in needs:
        stages = {part for module in modules(need) for part in parts[module]}
        assert made(rows[need.system.name].steps) - {EVALUATE} == stages, need.name
    assert len(set(expected_stages({"tiny": request}))) == (9 if force else 4)
    assert made(rows["bm25"].steps) == ({INDEX, SEARCH, EVALUATE} if force else {EVALUATE})


def test_what_is_current_takes_nothing(tiny):
    put_system("splade-tiny", {"q1": {"d1": 1.0}})
    of = forecast(requested("splade-tiny"))
    (row,) = of.rows
    assert total([row]).seconds == evaluating(3, 6, RUNS).seconds and total([row]).disk == 0
    assert rendered(of, (8.0,)).count("done") == 8  # four stages, and what each leaves


def test_encoded_documents_serve_another_set_of_queries(tiny):
    put_system("splade-tiny", {"q1": {"d1": 1.0}})
    (tiny / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    (row,) = forecast(requested("splade-tiny", topics=TopicsOptions(("test", "dev")))).rows
    assert made(row.steps) == {QUERIES, SEARCH, EVALUATE}
    assert {key.of_set for key, step in row.steps.items() if not step.done} == {"test", "dev"}


def test_nothing_is_written_and_the_folder_is_counted(tiny, monkeypatch):
    before = sorted(tiny.parent.rglob("*"))
    of = forecast(requested(SYSTEMS))
    assert sorted(tiny.parent.rglob("*")) == before
    assert (of.sizes[0].documents, of.sizes[0].queries, of.sizes[0].own_texts) == (6, 3, True)
    index = of.rows[0].steps[Key(INDEX, "bm25")]
    assert index.seconds == indexing(6, INDEXES).seconds


def test_msmarco_is_planned_before_anything_was_fetched(tmp_path, monkeypatch):
    """By the numbers that ir_datasets states; no host is asked for anything."""

    def refuse(*_arguments, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(IrDataset, "documents_at_hand", lambda self: False)
    monkeypatch.setattr(making, "calibrate", calibration)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    of = forecast(requested("bm25,splade-mini", "msmarco-passage/dev"))
    assert list(tmp_path.iterdir()) == [] and not of.sizes[0].own_texts
    assert (of.sizes[0].documents, of.sizes[0].queries) == (8_841_823, 55_578)
    bm25, mini = of.rows
    assert bm25.steps[Key(INDEX, "bm25")].seconds == indexing(8_841_823, INDEXES).seconds
    assert "not on this machine" in mini.missing and made(mini.steps) == {
        DOCUMENTS,
        QUERIES,
        INDEX,
        SEARCH,
        EVALUATE,
    }
    assert of.common == pytest.approx(RUNS.start + 8_841_823 * RUNS.reading)


def test_judged_queries_are_those_of_the_id_that_has_no_others():
    assert IrDataset("msmarco-passage/dev").stated_queries() == (55_578, True)
    assert IrDataset("msmarco-passage/trec-dl-2019/judged").stated_queries() == (43, True)
    assert IrDataset("beir/scifact/test").stated_queries() == (300, False)  # no more than that
    assert IrDataset("msmarco-passage").stated_queries() is None


def test_rates_of_earlier_commands_go_before_a_calibration(tiny, monkeypatch):
    """Of the same weights, threads and machine, and of enough texts."""
    of = open_artifacts("splade-tiny", CollectionOptions("tiny"), WorkOptions())
    stale = replace(of.documents, inputs={"stage": "encode"})
    facts = {"parameters": 4, "settings": {"precision": "exact"}, "weights": of.weights.record()}

    def encoded(texts, **changed):
        put(stale, **{**facts, "threads": WorkOptions().threads, "seconds": texts * 0.5, **changed})
        path = stale.manifest_path
        manifest = json.loads(path.read_text()) | {"counts": {"texts": texts}}
        path.write_text(json.dumps(manifest | changed))
        (row,) = forecast(requested("splade-tiny")).rows
        return row.steps[Key(DOCUMENTS, "splade-tiny")]

    step = encoded(2000)
    assert step.basis == "e" and step.seconds == pytest.approx(MODEL.start + 6 * 0.5)
    assert encoded(999).basis == "m"
    assert encoded(2000, threads=99).basis == "m"
    assert encoded(2000, weights={"sha256": "another"}).basis == "m"
    assert encoded(2000, shares=2).basis == "m"  # other machines' seconds are among its own
    assert encoded(2000, settings={"precision": "exact", "kernels": "another"}).basis == "m"
    assert encoded(2000, made={"hardware": hardware() | {"ram": "1.0 GB"}}).basis == "m"


def test_a_run_on_the_same_index_tells_what_other_queries_take(tiny):
    put_system("bm25", {"q1": {"d1": 1.0}})
    path = next((tiny.parent / "runs").glob("*.manifest.json"))
    manifest = json.loads(path.read_text())
    manifest |= {"counts": {"queries": 5000}, "seconds": 25.0, "threads": WorkOptions().threads}
    (tiny / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    path.write_text(json.dumps(manifest))
    request = replace(requested("bm25"), collection=CollectionOptions("tiny", "dev"))
    (row,) = forecast(request).rows
    step = row.steps[Key(SEARCH, "bm25", "dev")]
    assert (step.basis, step.seconds) == ("e", pytest.approx(0.005))
    path.write_text(json.dumps(manifest | {"threads": 99}))
    (row,) = forecast(request).rows
    assert row.steps[Key(SEARCH, "bm25", "dev")].basis == "m"


def test_shapes_have_the_published_number_of_parameters():
    import torch
    from transformers import BertConfig, BertModel

    from repro.models.random_weights import fresh_masked_lm

    for system in table_systems().values():
        if "readme" not in system.published or system.kind == "bm25":
            continue
        with torch.device("meta"):
            model = fresh_masked_lm(system.shape, BertConfig().vocab_size)
            model = model if system.kind == "splade" else BertModel(model.config)
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        assert millions == pytest.approx(system.published["readme"]["parameters"], rel=0.01), system.name


def test_the_doctor_warns_of_what_msmarco_will_not_fit_in():
    needs = least()
    assert len(needs.dense) == 4 and needs.memory == 2048 * 2**20
    vectors = 8_841_823 * (3 * 384 + 768) * 4  # once: a flat index is a link
    assert vectors < needs.disk < 1.01 * vectors  # and a line for each id
    assert little_disk(needs.disk, needs) == "" and little_memory(needs.memory, needs) == ""
    few = Least(["a", "b"], disk=164 * 10**9, memory=2 * 10**9)
    assert "the vectors of the 2 dense systems alone take 164 GB (counted)" in little_disk(10**9, few)
    assert "1.5 GB of it free, and a stage of MS MARCO's table takes up to 2.0 GB" in little_memory(
        15 * 10**8, few
    )


def test_free_memory_is_what_the_system_tells(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 5 kB\nMemAvailable:    40 kB\n")
    assert free_memory(tmp_path / "meminfo") == 40 * 1024
    assert free_memory(tmp_path / "none") == machine_memory()


def test_a_plan_beside_a_check_is_refused(tiny):
    for option in ("--check", "--dry-run"):
        error = refused("repro.table", "--plan", option, by=run_here)
        assert error == f"error: --plan and {option} contradict each other; give one"
    assert "--hours is of --plan" in refused("repro.table", "--hours", "8", by=run_here)
    assert "--hours 0: expected a number greater than 0" in refused(
        "repro.table", "--plan", "--hours", "8,0", by=run_here
    )


def test_the_command_prints_it(tiny, capsys):
    assert table.main(["--collection", "tiny", "--systems", "bm25", "--plan", "--hours", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("6 passages of tiny, 3 judged queries of tiny-test (counted).\n")
    assert "| bm25   | bm25 " in printed and "In 1 hour: bm25 (" in printed
