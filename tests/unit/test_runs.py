"""Run files: their strict form, the order of ties, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.base.errors import InputError
from repro.formats.runs import ranked, read_run, write_run


def test_ties_go_by_docid_descending_and_scores_strictly_decrease():
    order = ranked({"a": 2.0, "c": 3.0, "b": 3.0, "d": 1.0})
    assert [docid for docid, _ in order] == ["c", "b", "a", "d"]
    assert order[0][1] == np.float32(3) and order[1][1] == np.nextafter(np.float32(3), np.float32(0))


@given(
    st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1), st.floats(-1e6, 1e6, width=32))
)
def test_any_scores_become_strictly_decreasing_without_changing_the_order(scores):
    order = ranked(scores)
    values = [score for _, score in order]
    assert all(a > b for a, b in itertools.pairwise(values))
    originals = [scores[docid] for docid, _ in order]
    assert originals == sorted(originals, reverse=True)


def test_written_run_reads_back_in_the_same_order(tmp_path):
    path = tmp_path / "run"
    scores = {
        f"d{i}": 25_000.0 for i in range(1000)
    }  # a tie at SPLADE's magnitudes, where a 32-bit ulp is 0.002
    assert write_run(path, [("q1", scores), ("q2", {})], "tag") == 1000
    lines = path.read_text().splitlines()
    assert lines[0] == "q1 Q0 d999 1 25000 tag"
    assert [line.split()[3] for line in lines] == [str(rank) for rank in range(1, 1001)]
    values = [np.float32(line.split()[4]) for line in lines]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert list(read_run(path)["q1"]) == [docid for docid, _ in ranked(scores)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 2.0\n", "line 1: expected 6 columns .* found 5"),
        ("q1 Q0 d1 1 2.0 t\nq1 Q0 d1 2 1.0 t\n", "line 2: query q1 lists document d1 a second time"),
        ("q1 Q0 d1 1 high t\n", "line 1: the score 'high' is not a number"),
        ("q1 Q0 d1 1 nan t\n", "line 1: the score 'nan' is not a number"),
        ("\n", "the run is empty"),
    ],
)
def test_bad_run_is_refused(tmp_path, text, message):
    path = tmp_path / "run"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(path)


def test_missing_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such run file"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a folder"):
        read_run(tmp_path)
