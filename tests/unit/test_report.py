"""Figures and tables."""

import csv
import weakref
from dataclasses import replace

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.collections.scan import CorpusSummary
from repro.evaluation.measures import Figures, evaluate, parse_measures
from repro.evaluation.significance import intervals
from repro.formats.qrels import read_trec_qrels
from repro.models.systems import table_systems
from repro.report.markdown import (
    differences_table,
    measured_table,
    not_run_list,
    page_table,
    published_table,
    table,
)
from repro.report.results import Row, Table, as_csv, compare_rows

QRELS = {"q1": {"d1": 3, "d2": 0, "d3": 1}, "q2": {"d1": 1}, "q3": {"d9": 1}}
RUN = {"q1": {"d2": 3.0, "d1": 2.0, "d4": 1.0}, "q2": {f"x{i:02}": 20.0 - i for i in range(10)} | {"d1": 1.0}}


def test_figures_by_hand():
    mean = evaluate(QRELS, RUN.items(), parse_measures(["RR@10", "R@10", "R@1000"])).mean
    assert mean["RR@10"] == pytest.approx((1 / 2 + 0 + 0) / 3)  # q2's is 11th, q3 is not answered
    assert mean["R@10"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert mean["R@1000"] == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_tie_is_broken_as_trec_eval_breaks_it():
    run = [("q", {"a": 1.0, "b": 1.0})]
    figures = evaluate({"q": {"a": 1}}, run, parse_measures(["RR@10"]))
    assert figures.per_query["q"]["RR@10"] == 0.5  # b comes before a


def test_unknown_measure_is_refused():
    with pytest.raises(InputError, match="unknown measure 'MMR@10'"):
        parse_measures(["MMR@10"])


def test_bad_trec_qrels_are_refused(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d1 1\nq1 d2 1\n")
    with pytest.raises(InputError, match="line 2: expected 4 columns"):
        read_trec_qrels(path)


class Scores(dict):
    """One query's results, which can be watched until nobody holds them any more."""


def test_a_run_is_read_a_query_at_a_time_and_figures_do_not_depend_on_it(monkeypatch):
    measures = parse_measures(["RR@10", "nDCG@10"])
    qrels = {f"q{i}": {f"d{i % 7}": 1} for i in range(50)}
    alive = []

    def results():
        for i in range(50):
            assert sum(reference() is not None for reference in alive) <= 1
            scores = Scores({f"d{j}": float((i * j) % 11) for j in range(10)})
            alive.append(weakref.ref(scores))
            yield f"q{i}", scores
            del scores

    whole = evaluate(qrels, results(), measures)
    monkeypatch.setattr("repro.evaluation.measures.HITS", 25)  # three queries at a time
    assert evaluate(qrels, results(), measures) == whole
    assert whole.answered == 50


def test_answered_and_unjudged_queries_are_counted():
    figures = evaluate(QRELS, [*RUN.items(), ("q9", {"d1": 1.0})], parse_measures(["RR@10"]))
    assert (figures.answered, figures.unjudged) == (2, 1)


def test_intervals_of_means_are_those_of_the_bootstrap():
    """Of many values the normal approximation's; of equal ones, and of a single query, no wider than they."""
    rng = np.random.default_rng(1)
    values = rng.random(900)
    per_query = {f"q{i}": {"RR@10": value, "R@10": 1.0} for i, value in enumerate(values)}
    figures = Figures({"RR@10": float(values.mean()), "R@10": 1.0}, per_query, 900, 0)
    found = intervals(figures)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found["RR@10"] == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 10)
    assert found["R@10"] == (1.0, 1.0)
    assert intervals(figures) == found
    assert intervals(Figures({"RR@10": 0.5}, {"q": {"RR@10": 0.5}}, 1, 0)) == {"RR@10": (0.5, 0.5)}


def test_every_row_is_shown_measured_or_not():
    measures = parse_measures(["nDCG@10", "RR(rel=2)@10"])
    figures = {"nDCG@10": 0.25, "RR(rel=2)@10": 0.5}
    sure = {"nDCG@10": (0.104, 0.396), "RR(rel=2)@10": (0.5, 0.5)}
    rows = [
        Row("bm25", "bm25", "measured", figures=figures, intervals=sure, index_bytes=2048, queries=4),
        Row("splade-mini", "splade", "not run", "no weights"),
    ]
    text = measured_table(Table("dl19", 4, measures, rows, CorpusSummary(6, 0, "")))
    header, _, bm25, mini = text.splitlines()
    assert "nDCG@10 |      95 % | RR(rel=2)@10" in header
    assert "0.2500 | 0.10–0.40 |       0.5000" in bm25 and "2 kB" in bm25
    assert "not run" in mini and "not run" not in bm25
    assert not_run_list(rows) == "- splade-mini not run: no weights"


def test_marks_stand_beside_figures_that_differ_significantly_and_not_on_pages():
    """Of thirty queries; the second measure is the same for both."""
    rng = np.random.default_rng(1)
    base = np.column_stack([rng.random(30) / 2, np.full(30, 0.5)])
    better = base + np.column_stack([rng.random(30) / 4, np.zeros(30)])
    measures = parse_measures(["nDCG@10", "AP"])
    values = {"bm25": base, "tiny": better}
    rows = [
        Row(name, "splade", "measured", figures=dict(zip(("nDCG@10", "AP"), of.mean(axis=0))))
        for name, of in values.items()
    ]
    rows = [replace(row, intervals={"nDCG@10": (0.25, 0.5)}) for row in rows]
    plain = Table("c", 30, measures, rows, CorpusSummary(6, 0, ""), columns=("measures",), baseline="tiny")
    compared = replace(plain, comparisons=compare_rows(plain, values))
    figures = [row.figures["nDCG@10"] for row in rows]
    header, _, bm25, tiny, _, legend = measured_table(compared).splitlines()
    assert bm25.split(" | ")[2:] == [f"{figures[0]:.4f} ▼", "0.25–0.50", "0.5000   |"]
    assert tiny.split(" | ")[2:] == [f"{figures[1]:.4f}  ", "0.25–0.50", "0.5000   |"]
    assert len({len(line) for line in (header, bm25, tiny)}) == 1
    assert legend == (
        "▲ ▼ significantly better, worse than tiny: paired randomisation test over queries, corrected for "
        "the number of systems (Holm), p < 0.05."
    )
    assert page_table(compared) == page_table(plain) and "▼" not in page_table(compared)
    columns = [cell.strip() for cell in differences_table(compared).splitlines()[2].split("|")[1:-1]]
    assert columns[:3] == ["bm25", "tiny", "nDCG@10"] and columns[3] == f"{figures[0] - figures[1]:+.4f}"
    assert columns[6:] == ["< 0.0001", "< 0.0001 ▼", "0", "0", "30"]
    first, second = csv.DictReader(as_csv(compared).splitlines())
    assert (first["nDCG@10 significant"], first["nDCG@10 worse"], first["AP significant"]) == (
        "True",
        "30",
        "False",
    )
    assert second["nDCG@10 significant"] == "" and second["baseline"] == "tiny"
    tukeys = replace(plain, correction="tukey")
    tukeys = replace(tukeys, comparisons=compare_rows(tukeys, values))
    assert "randomised Tukey HSD test over queries, of all pairs" in measured_table(tukeys)
    assert "p, randomised HSD" in differences_table(tukeys)


def test_published_table_has_both_revisions_of_the_readme():
    text = published_table(table_systems().values())
    assert sum("| splade-mini" in line for line in text.splitlines()) == 2
    assert "30.9" in text and "127.1" in text and "Source `readme`" in text
    assert "all-minilm" not in text


def test_table_columns_are_aligned():
    assert (
        len(
            {
                len(line)
                for line in table(["a", "b", "c"], [["xxx", "y", "1"], ["z", "yy", "100"]]).splitlines()
            }
        )
        == 1
    )
