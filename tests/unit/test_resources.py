"""What a row says of size, speed and energy: by hand, from manifests and vectors of known content."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import refused, run_here, succeed

from repro.base import energy
from repro.base.energy import EnergyMeter, add
from repro.cli.options import CollectionOptions, SearchOptions, SystemOptions, WorkOptions
from repro.cli.shown_options import COLUMNS
from repro.collections.scan import CorpusSummary
from repro.evaluation.flops import expected_flops
from repro.evaluation.measures import parse_measures
from repro.formats.impact_vectors import ImpactVector, shard_path, write_shard
from repro.formats.runs import write_run
from repro.pipeline.opening import open_artifacts
from repro.report.columns import columns_of
from repro.report.markdown import measured_table
from repro.report.resources import NOT_ENCODED, NOT_TIMED, Resources, resources
from repro.report.results import Row, Table

DOCUMENTS = [{"tide": 40, "moon": 12}, {"moon": 3}, {"bread": 9, "yeast": 20}, {}]
QUERIES = [{"moon": 30, "tide": 7, "sun": 1}, {"tide": 9}]
ROW = Row("bm25", "bm25", "measured", figures={"AP": 0.25, "RR": 0.5}, intervals={"AP": (0.1, 0.4)})


def test_flops_is_the_sum_over_terms_of_both_shares_by_hand():
    """Of queries and of documents: moon 1/2 2/4, tide 2/2 1/4, sun 1/2 0, bread and yeast 0 1/4."""
    assert expected_flops(QUERIES, DOCUMENTS) == 1 / 2 * 2 / 4 + 2 / 2 * 1 / 4
    pairs = [len(query.keys() & document.keys()) for query in QUERIES for document in DOCUMENTS]
    assert expected_flops(QUERIES, DOCUMENTS) == sum(pairs) / len(pairs)  # the mean over all pairs
    assert expected_flops([], DOCUMENTS) == expected_flops(QUERIES, [{}]) == 0


def put(artifact, vectors=(), **facts):
    partial = artifact.begin()
    if artifact.single_file:
        write_run(partial, [("q1", {"d1": 1.0})], "tag")
    else:
        write_shard(shard_path(partial, 0), (ImpactVector(str(i), "", v) for i, v in enumerate(vectors)))
    artifact.finish(partial, **facts)


def artifacts(system, options=SystemOptions()):
    return open_artifacts(system, CollectionOptions("tiny"), WorkOptions(Path("work")), options)


@pytest.fixture
def splade(beir, monkeypatch):
    """What splade-tiny would have been made to: manifests of round figures, and vectors."""
    monkeypatch.chdir(beir.parent)
    of = artifacts("splade-tiny")
    facts = {"parameters": 4_416_698, "settings": {}}
    counts = {"texts": 4, "active_terms": 10}
    put(of.documents, DOCUMENTS, counts=counts, seconds=0.5, energy={"joules": 20.0}, **facts)
    counts = {"texts": 2, "active_terms": 4}
    put(of.queries, QUERIES, counts=counts, seconds=0.04, energy={"joules": 3.0}, **facts)
    put(of.index, counts={}, built={}, bytes=2048, written_by=of.engine.written_by())
    counts = {"queries": 2}
    put(of.run, counts=counts, seconds=0.01, queries_per_second=200.0, energy={"joules": 1.0})
    return of


def test_figures_are_those_of_the_manifests(splade):
    assert resources(splade, flops=True) == Resources(
        parameters=4_416_698,
        document_terms=2.5,
        query_terms=2.0,
        flops=0.5,
        index_bytes=2048,
        documents_per_second=8.0,
        queries_per_second=200.0,
        queries_per_second_with_encoding=40.0,
        joules_per_document=5.0,
        joules_per_query=2.0,
    )


def test_flops_counts_the_terms_that_are_searched(splade):
    """Of the first query the strongest term alone is left: moon; the shares are 1/2 2/4 and 1/2 1/4."""
    cut = artifacts("splade-tiny", SystemOptions(search=SearchOptions(max_query_terms=1)))
    put(cut.run, counts={"queries": 2}, seconds=0.01, queries_per_second=200.0)
    assert resources(cut, flops=True).flops == 1 / 2 * 2 / 4 + 1 / 2 * 1 / 4


def edit_manifest(artifact, **changes):
    path = artifact.manifest_path
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_of_each_figure_that_is_not_known_there_is_the_reason(splade):
    bm25 = artifacts("bm25")
    put(bm25.index, counts={}, built={}, bytes=99, written_by=bm25.engine.written_by())
    put(
        bm25.run,
        counts={"queries": 2},
        seconds=0.1,
        queries_per_second=20.0,
        energy={"unread": "no counters"},
    )
    both = artifacts("bm25+splade-tiny")
    put(both.run, counts={"queries": 2}, seconds=0.05, queries_per_second=12.5, energy={"joules": 2.0})
    edit_manifest(splade.documents, seconds=0.0, energy={"unread": "no counters"})
    of_splade, of_bm25, of_both = (resources(of, flops=False) for of in (splade, bm25, both))
    assert of_splade.unknown == {
        "flops": "not counted; --columns flops does",
        "documents_per_second": NOT_TIMED,
        "joules_per_document": "no counters",
    }
    assert of_bm25.unknown["joules_per_query"] == "no counters" and of_bm25.unknown["flops"]
    assert of_bm25.queries_per_second_with_encoding == 20.0  # nothing is encoded
    assert of_both.queries_per_second_with_encoding == 10.0  # 0.1 + 0.04 + 0.01 + 0.05 seconds
    assert of_both.unknown["joules_per_query"] == "no counters"  # of one of its parts
    for found in (of_splade, of_bm25, of_both):
        figures = {name: value for name, value in vars(found).items() if name != "unknown"}
        assert {name for name, value in figures.items() if value is None} == found.unknown.keys()


TABLE = ["repro.table", "--collection", "tiny"]


def test_a_table_of_all_columns_is_checked(splade):
    """The figures beside the measures are those of the manifests."""
    run_table = partial(succeed, *TABLE, by=run_here, HF_HUB_OFFLINE="1")
    printed = run_table("--systems", "splade-tiny,splade-mini", "--columns", "all").splitlines()
    header, measured, not_run = ([c.strip() for c in printed[i].split("|")[6:-1]] for i in (2, 4, 5))
    shown = dict(zip(header, measured))
    assert list(shown.items())[-9:] == [
        *[("terms/doc", "2.50"), ("terms/query", "2.00"), ("FLOPS", "0.50"), ("index", "2 kB")],
        *[("documents/s", "8.0"), ("queries/s", "200"), ("with encoding", "40")],
        *[("J/document", "5.00"), ("J/query", "2.00")],
    ]
    assert set(not_run) == {"–"} and "| not run |" in printed[5]
    assert not run_table("--check")
    table = Path("tables/tiny-test.json")
    table.write_text(table.read_text().replace('"flops": 0.5', '"flops": 0.6'))
    edit_manifest(splade.queries, energy={"joules": 5.0})
    problems = run_here(*TABLE, "--check", HF_HUB_OFFLINE="1").stdout.splitlines()
    assert "splade-tiny: flops is 0.6 in the table, and 0.5 as measured" in problems
    assert "splade-tiny: joules_per_query is 2.0 in the table, and 3.0 as measured" in problems


def test_energy_that_is_not_known_is_told_in_its_cell(splade):
    unread = replace(ROW, unknown={"joules_per_document": NOT_ENCODED, "joules_per_query": "no counters"})
    table = Table("tiny", 2, parse_measures(["AP"]), [unread], CorpusSummary(4, 0, ""), columns=("energy",))
    assert [column.cell(unread) for column in columns_of(table)] == ["–", "not read"]


@pytest.mark.parametrize("name", COLUMNS)
def test_each_column_can_be_shown_alone(name):
    rows = [ROW, Row("splade-mini", "splade", "not run", "no weights")]
    table = Table("tiny", 2, parse_measures(["AP", "RR"]), rows, CorpusSummary(4, 0, ""), columns=(name,))
    header, _, measured, not_run = measured_table(table).splitlines()
    assert len(header.split("|")) > 4 and "not run" in not_run
    assert "–" in measured or "not read" in measured or name == "measures"


def test_a_column_or_baseline_that_there_is_not_is_refused(splade):
    table = [*TABLE, "--systems", "bm25,splade-tiny"]
    assert "--columns: there is no 'speed'; choose from parameters, measures, " in refused(
        *table, "--columns", "index,speed", by=run_here
    )
    assert "--baseline dense: expected a system of the table: bm25, splade-tiny" in refused(
        *table, "--baseline", "dense", by=run_here
    )


class Counters:
    """RAPL's folders: two packages, one with cores and memory inside it, and the board."""

    def __init__(self, folder):
        self.folder = folder
        names = {"0": "package-0", "0:0": "core", "0:1": "dram", "1": "package-1", "2": "psys"}
        for place, name in names.items():
            zone = folder / f"intel-rapl:{place}"
            zone.mkdir(parents=True)
            (zone / "name").write_text(f"{name}\n")
            (zone / "max_energy_range_uj").write_text("1000000000\n")
            self.count(place, 999_000_000)
        (folder / "intel-rapl").mkdir()

    def count(self, place, microjoules):
        (self.folder / f"intel-rapl:{place}" / "energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def counters(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")
    return Counters(tmp_path / "powercap")


def test_energy_is_that_of_packages_and_memory_and_counters_begin_anew(counters, monkeypatch):
    monkeypatch.setattr(energy, "INTERVAL", 0.001)
    with EnergyMeter() as meter:
        assert meter.record() == {"joules": 0.0}
        counters.count("0", 999_500_000)
        counters.count("0:0", 999_400_000)  # cores, which are in the package's
        counters.count("0:1", 999_250_000)
        counters.count("2", 999_900_000)  # the whole board
        assert meter.record() == {"joules": 0.75}
        counters.count("1", 1_000_000)  # went over its greatest value: 1 J to that, and 1 J
        assert meter.record() == {"joules": 2.75}
    counters.count("1", 5_000_000)
    meter._reader.join(5)
    assert not meter._reader.is_alive()


def test_energy_that_cannot_be_read_is_not_zero(counters, monkeypatch, tmp_path):
    with EnergyMeter() as meter:
        (counters.folder / "intel-rapl:1/energy_uj").unlink()
        told = meter.record()
    assert "intel-rapl:0: No such file" in told["unread"]
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "nowhere")
    with EnergyMeter() as meter:
        assert meter.record() == {"unread": f"no RAPL counters in {tmp_path / 'nowhere'}"}
    assert add({"joules": 1.5}, {"joules": 0.25}) == {"joules": 1.75}
    assert add({"joules": 1.5}, told) == add(told, {"joules": 1.5}) == told
