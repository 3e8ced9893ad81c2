"""Figures and tables."""

import pytest

from repro.base.errors import InputError
from repro.evaluation.measures import evaluate, parse_measures
from repro.formats.qrels import read_trec_qrels
from repro.models.systems import table_systems
from repro.report.markdown import measured_table, not_run_list, published_table, table
from repro.report.readme import update_block
from repro.report.results import Row

QRELS = {"q1": {"d1": 3, "d2": 0, "d3": 1}, "q2": {"d1": 1}, "q3": {"d9": 1}}
RUN = {"q1": {"d2": 3.0, "d1": 2.0, "d4": 1.0}, "q2": {f"x{i:02}": 20.0 - i for i in range(10)} | {"d1": 1.0}}


def test_figures_by_hand():
    mean = evaluate(QRELS, RUN).mean
    assert mean["RR@10"] == pytest.approx((1 / 2 + 0 + 0) / 3)  # q2's is 11th, q3 is not answered
    assert mean["R@10"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert mean["R@1000"] == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_tie_is_broken_as_trec_eval_breaks_it():
    figures = evaluate({"q": {"a": 1}}, {"q": {"a": 1.0, "b": 1.0}})
    assert figures.per_query["q"]["RR@10"] == 0.5  # b comes before a


def test_unknown_measure_is_refused():
    with pytest.raises(InputError, match="unknown measure 'MMR@10'"):
        parse_measures(["MMR@10"])


def test_bad_trec_qrels_are_refused(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d1 1\nq1 d2 1\n")
    with pytest.raises(InputError, match="line 2: expected 4 columns"):
        read_trec_qrels(path)


def test_every_row_is_shown_measured_or_not():
    rows = [
        Row(
            "bm25", "bm25", "measured", rr_10=0.5, ndcg_10=0.25, r_10=1, r_1000=1, index_bytes=2048, queries=4
        ),
        Row("splade-mini", "splade", "not run", "no weights"),
    ]
    text = measured_table(rows)
    assert "0.5000" in text and "0.2500" in text and "2 kB" in text
    assert [line.count("not run") for line in text.splitlines()] == [0, 0, 0, 1]
    assert not_run_list(rows) == "- splade-mini not run: no weights"


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


def test_only_the_block_between_markers_changes(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- t -->\nold\n<!-- /t -->\nafter\n")
    assert update_block(path, "t", "new")
    assert path.read_text() == "before\n<!-- t -->\nnew\n<!-- /t -->\nafter\n"
    assert not update_block(path, "other", "new")
    assert not update_block(tmp_path / "missing.md", "t", "new")
