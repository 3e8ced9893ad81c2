"""Published figures beside measured ones: which are compared, and with what verdict."""

import importlib.metadata
import importlib.util
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from repro.collections.scan import CorpusSummary
from repro.evaluation.measures import parse_measures
from repro.models.systems import table_systems
from repro.report.markdown import compared_table
from repro.report.published import compare, failures, published, sources, verdict
from repro.report.results import Row, Table

SHARED = REPOSITORY.parent / "shared" / "published.yaml"
DEV = "msmarco-passage/dev"


def row(spec, rr=None, recall=None, **changes):
    figures = {} if rr is None else {"RR@10": rr, "R@10": recall, "R@1000": 0.9}
    status = "not run" if rr is None else "measured"
    system = table_systems().get(spec)
    kind, hub = (system.kind, system.hub) if system else ("splade", None)
    return replace(Row(spec, kind, status, figures=figures, spec=spec, hub=hub), **changes)


def table(*rows, dataset=DEV):
    measures = parse_measures(["RR@10", "nDCG@10", "R@10", "R@1000"])
    return Table("dev", 55_578, measures, list(rows), CorpusSummary(8_841_823, 0, ""), dataset)


def verdicts(cells, system):
    return {(cell.source, cell.quantity): cell.verdict for cell in cells if cell.system == system}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (0.1795, "OK"),
        (0.18049, "OK"),
        (0.1806, "OKish"),
        (0.1751, "OKish"),
        (0.1749, "FAIL"),
        (0.1851, "FAIL"),
    ],
)
def test_bounds_are_two_sided_and_said(measured, expected):
    """18.0 per cent: OK what rounds to it, OKish up to half a point off, whether below or above."""
    cells = compare(table(row("bm25", measured, 0.378)))
    cell = next(cell for cell in cells if (cell.system, cell.quantity) == ("bm25", "RR@10"))
    assert (cell.published, cell.ok, cell.okish) == pytest.approx((0.18, 0.0005, 0.005))
    assert cell.difference == pytest.approx(measured - 0.18) and cell.verdict == expected
    line = next(line for line in compared_table(cells).splitlines() if "| bm25" in line and "RR@10" in line)
    assert f"{measured:.4f}" in line and "± 0.0005" in line and "± 0.0050" in line and f" {expected} " in line


def test_a_difference_on_a_bound_is_within_it():
    assert [verdict(sign * 0.0005, 0.0005, 0.005) for sign in (1, -1)] == ["OK", "OK"]
    assert verdict(0.1 + 0.2 - 0.3 + 0.0005, 0.0005, 0.005) == "OK"
    assert verdict(-0.005, 0.0005, 0.005) == "OKish" and verdict(-0.0051, 0.0005, 0.005) == "FAIL"


def test_a_cell_says_all_that_it_is_compared_by():
    terms = {"parameters": 4_416_698, "document_terms": 129.0}
    cells = compare(table(row("splade-tiny", 0.309, 0.5542, **terms)))
    assert verdicts(cells, "splade-tiny") == {
        ("readme", "parameters"): "OK",
        ("readme", "RR@10"): "OK",
        ("readme", "R@10"): "OK",
        ("readme", "active_dims"): "OKish",
    }
    cell = asdict(cells[1 + next(i for i, cell in enumerate(cells) if cell.system == "splade-tiny")])
    assert (cell["quantity"], cell["queries"], cell["collection"]) == ("RR@10", 55_578, DEV)
    assert (cell["text"], cell["published_text"]) == ("repaired by ir_datasets", "not stated")


def test_both_revisions_stand_and_one_of_them_suffices():
    """The later README has newer checkpoints under the same names: who measures one, has not the other."""
    newer = row("splade-mini", 0.3412, 0.603, parameters=11_171_642, document_terms=186.6)
    cells = compare(table(newer))
    told = verdicts(cells, "splade-mini")
    assert told["readme", "RR@10"] == "FAIL" and told["later", "RR@10"] == "OK"
    assert not failures(cells)
    mixed = compare(table(replace(newer, figures=newer.figures | {"R@10": 0.588})))  # of the other revision
    assert {(cell.source, cell.quantity) for cell in failures(mixed)} >= {
        ("readme", "RR@10"),
        ("later", "R@10"),
    }


def test_only_the_collection_and_the_options_that_were_published_are_compared():
    measured = row("bm25", 0.1874, 0.4)
    assert not compare(table(measured, dataset=None))
    assert not compare(table(measured, dataset="msmarco-passage/train"))
    small = compare(table(measured, dataset="msmarco-passage/dev/small"))
    assert verdicts(small, "bm25")["anserini", "RR@10"] == "FAIL"
    tuned = replace(measured, options="--k1 0.82 --b 0.68")
    told = verdicts(compare(table(tuned, dataset="msmarco-passage/dev/small")), "bm25")
    assert told == {("anserini-tuned", "RR@10"): "OKish", ("anserini-tuned", "R@1000"): "FAIL"}
    assert not verdicts(compare(table(replace(measured, options="--k1 2.0"))), "bm25")


def test_what_was_not_measured_has_no_verdict():
    cells = compare(table(row("splade-mini", reason="no weights")))
    assert {cell.system for cell in cells} >= {"splade-mini", "bm25", "e5-small-v2"}
    assert {(cell.measured, cell.difference, cell.verdict) for cell in cells} == {(None, None, "")}
    assert not failures(cells)


def test_a_model_by_its_name_on_the_hub_is_the_published_one():
    own = row("splade:naver/splade-v3", 0.4001, 0.7, hub="naver/splade-v3", system="splade.naver--splade-v3")
    cells = compare(table(own, dataset="msmarco-passage/dev/small"))
    assert verdicts(cells, "splade.naver--splade-v3")["anserini", "RR@10"] == "OKish"
    assert "splade-v3" not in {cell.system for cell in cells}


def test_every_published_figure_has_a_source_with_a_bound():
    for of in published():
        for source, figures in of.figures.items():
            assert figures.keys() <= sources()[source].okish.keys(), (of.name, source)
    for name, source in sources().items():
        assert source.title and source.text and source.collections, name
        for quantity, bound in source.okish.items():
            assert bound * source.unit(quantity) > 0.5 / 10 ** source.digits(quantity), (name, quantity)


def test_figures_are_those_that_were_published():
    if not SHARED.is_file():
        pytest.skip("no published figures beside the repository")
    given = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    of = {system.name: system.figures for system in published()}
    for key, source in (("seed_readme", "readme"), ("seed_readme_later", "later")):
        for name, values in given[key].items():
            if name in table_systems():
                parameters = values[0] and float(values[0].removesuffix("M"))
                named = zip(("parameters", "RR@10", "R@10", "active_dims"), (parameters, *values[2:]))
                assert of[name][source] == {quantity: value for quantity, value in named if value is not None}
    names = {"bm25_k0.9_b0.4": ("bm25", "anserini"), "bm25_k0.82_b0.68": ("bm25", "anserini-tuned")}
    names |= {name: (name, "anserini") for name in ("splade-pp-ed", "splade-v3")}
    for key, (name, source) in names.items():
        assert list(of[name][source].values()) == given["anserini_msmarco_dev_small"][key]
    for track, figures in given["pyserini_2cr_msmarco_v1_passage"]["splade-v3"].items():
        if track != "dev/small":
            stored = of["splade-v3"][f"pyserini-{track}"]
            assert list(stored.values()) == [figures[name] for name in ("map", "ndcg@10", "r@1000")]


def test_figures_of_pyserini_are_those_that_it_ships():
    if (version := importlib.metadata.version("pyserini")) != "1.6.0":
        pytest.skip(f"systems.yaml has the figures of Pyserini 1.6.0, and {version} is installed")
    package = Path(importlib.util.find_spec("pyserini").origin).parent
    conditions = yaml.safe_load((package / "2cr/msmarco-v1-passage.yaml").read_text())["conditions"]
    theirs = {condition["name"]: condition["topics"] for condition in conditions}
    ours = {system.name: system.figures for system in published()}
    measures = {"AP(rel=2)": "MAP", "nDCG@10": "nDCG@10", "R(rel=2)@1000": "R@1K"}
    for name, condition in (("bm25", "bm25-default"), ("splade-v3", "splade-v3-pytorch")):
        scores = {entry["eval_key"]: entry["scores"][0] for entry in theirs[condition]}
        for track in ("dl19", "dl20"):
            expected = {measure: scores[f"{track}-passage"][key] for measure, key in measures.items()}
            assert ours[name][f"pyserini-{track}"] == expected
