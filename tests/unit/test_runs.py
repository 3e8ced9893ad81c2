"""Run files: their strict form, the order of ties, reading in bounded memory, and what is refused."""

import itertools
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.base.errors import InputError
from repro.formats import runs
from repro.formats.runs import RankedRun, ranked, read_queries, read_run, write_run

DOCIDS = st.text(st.characters(categories=["L", "N"]), min_size=1)
SCORES = st.one_of(
    st.floats(-(2.0**99), 2.0**99, width=32),
    st.integers(-3, 3).map(float),  # many ties, and tied scores that meet the next
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 16777216.0, 16777218.0]),
)


def strictly_decreasing(values):
    return all(a > b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize(("ties", "order"), [("anserini", "bcad"), ("trec_eval", "cbad")])
def test_equal_scores_go_by_docid_and_strictly_decrease(ties, order):
    found = ranked({"a": 2.0, "c": 3.0, "b": 3.0, "d": 1.0}, ties)
    assert "".join(docid for docid, _ in found) == order
    assert found[0][1] == np.float32(3) and found[1][1] == np.nextafter(np.float32(3), np.float32(0))


def test_unknown_order_of_ties_is_refused():
    with pytest.raises(InputError, match="unknown order of ties 'random'; name one of anserini, trec_eval"):
        ranked({"a": 1.0}, "random")


@given(st.dictionaries(DOCIDS, SCORES), st.sampled_from(runs.TIES))
def test_any_scores_become_strictly_decreasing_without_changing_the_order(scores, ties):
    order = ranked(scores, ties)
    assert strictly_decreasing([score for _, score in order])
    expected = sorted(scores, reverse=ties == "trec_eval")
    expected = sorted(expected, key=lambda docid: -np.float32(scores[docid]))  # a stable sort
    assert [docid for docid, _ in order] == expected


@given(st.dictionaries(DOCIDS, SCORES, min_size=1))
def test_every_evaluator_reads_strictly_decreasing_scores(tmp_path_factory, scores):
    """Decimals are read as 64-bit floats, which trec_eval then rounds to 32 bits."""
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, [("q", scores)], "t")
    columns = [line.split() for line in path.read_text().splitlines()]
    doubles = [float(fields[4]) for fields in columns]
    assert strictly_decreasing(doubles)
    assert strictly_decreasing(np.array(doubles, np.float32).tolist())
    assert all("e" not in fields[4] for fields in columns)


@pytest.mark.parametrize(("ties", "first"), [("anserini", "d0"), ("trec_eval", "d999")])
def test_written_run_reads_back_in_the_same_order(tmp_path, ties, first):
    path = tmp_path / "run"
    # a tie at SPLADE's magnitudes, where a 32-bit ulp is 0.002
    scores = {f"d{i}": 25_000.0 for i in range(1000)}
    assert write_run(path, [("q1", scores), ("q2", {})], "tag", ties) == 1000
    lines = path.read_text().splitlines()
    assert lines[0] == f"q1 Q0 {first} 1 25000 tag"
    assert [line.split()[3] for line in lines] == [str(rank) for rank in range(1, 1001)]
    assert strictly_decreasing([np.float32(line.split()[4]) for line in lines])
    assert list(read_run(path)["q1"]) == [docid for docid, _ in ranked(scores, ties)]


RUN = """\
q2 Q0 d9 1 5.5 t
q2 Q0 d1 2 5.5 t
q2 Q0 d3 3 -1e-3 t
q1 0 d1 1 7 t
q1 0 é 2 inf t
q10 Q0 d1 1 1 t
"""
RESULTS = {
    "q2": {"d9": 5.5, "d1": 5.5, "d3": -1e-3},
    "q1": {"d1": 7.0, "é": float("inf")},
    "q10": {"d1": 1.0},
}


@pytest.mark.parametrize(
    "text",
    [
        RUN,
        RUN.rstrip("\n"),
        RUN.replace("\n", "\r\n"),
        RUN.replace(" ", "\t"),
        RUN.replace("d9 1 ", "d9  1\t "),
        f"\n  \n{RUN}\n".replace("d3 3", "d3 3 ").replace("q1 0 é", "\n\nq1 0 é"),
        "".join(f" {line}\n" for line in RUN.splitlines()),
    ],
    ids=["plain", "no end", "CRLF", "tabs", "blanks", "blank lines", "indented"],
)
def test_queries_are_read_one_at_a_time_whatever_separates_columns_and_lines(tmp_path, text):
    path = tmp_path / "run"
    path.write_bytes(text.encode())
    assert list(read_queries(path)) == list(RESULTS.items())
    assert read_run(path) == RESULTS
    by_rank = dict(read_queries(path, by_rank=True))
    assert by_rank == {q: {d: -float(i) for i, d in enumerate(found, 1)} for q, found in RESULTS.items()}


def test_a_run_can_come_through_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(RUN,))
    writer.start()
    assert read_run(path) == RESULTS
    writer.join()


def test_a_querys_lines_are_found_wherever_they_stand(tmp_path):
    lines = [f"q{q} Q0 d{d} {d + 1} {100 - d} t\n" for q in range(7) for d in range(50)]
    whole, scattered = tmp_path / "whole", tmp_path / "scattered"
    whole.write_text("".join(lines))
    random.Random(1).shuffle(lines)
    scattered.write_text("".join(lines).rstrip("\n"))
    assert dict(read_queries(scattered)) == dict(read_queries(whole))
    one, other = RankedRun(whole, 5), RankedRun(scattered, 5)
    assert {q: one[q] for q in one} == {q: other[q] for q in other}
    assert one["q3"] == [f"d{d}" for d in range(5)] and len(one) == 7


@pytest.mark.parametrize(("ties", "best"), [("anserini", ["d1", "d9"]), ("trec_eval", ["d9", "d1"])])
def test_ranked_run_orders_ties_as_runs_are_written(tmp_path, ties, best):
    path = tmp_path / "run"
    path.write_text(RUN)
    assert RankedRun(path, 2, ties)["q2"] == best


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 2.0\n", "line 1: expected 6 columns .* found 5"),
        ("q1 Q0 d1 1 2.0\nq1 Q0 d1 1 2.0 t t\n", "line 1: expected 6 columns .* found 5"),
        (
            "q0 Q0 d1 1 2.0 t\n\nq1 Q0 d1 1 2.0 t\nq1 Q0 d2 1 2.0 t t\n",
            "line 4: expected 6 columns .* found 7",
        ),
        ("q1 Q0 d1 1 2.0 t\nq1 Q0 d1 2 1.0 t\n", "line 2: query q1 lists document d1 a second time"),
        ("q1 Q0 d1 1 2 t\nq2 Q0 d1 1 2 t\nq1 Q0 d1 2 1 t\n", "line 3: query q1 lists document d1 a second"),
        ("q1 Q0 d1 1 high t\n", "line 1: the score 'high' is not a number"),
        ("q1 Q0 d1 1 nan t\n", "line 1: the score 'nan' is not a number"),
        ("\n", "the run is empty"),
        ("", "the run is empty"),
    ],
)
def test_bad_run_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "run"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(path)


def test_a_rank_is_read_only_where_it_counts(tmp_path):
    path = tmp_path / "run"
    path.write_text("q1 Q0 d1 first 2.0 t\n")
    assert read_run(path) == {"q1": {"d1": 2.0}}
    with pytest.raises(InputError, match="line 1: the rank 'first' is not a number"):
        read_run(path, by_rank=True)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"q1 Q0 d1 1 2.0 t\nq1 Q0 d\xe9 2 1.0 t\n")
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_run(path)
    path.write_bytes(b"\xff\xfe Q0 d1 1 2.0 t\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_run(path)
    with open(path, "wb") as file:
        file.truncate(1 << 27)  # a sparse file: zeros without a line end
    with pytest.raises(InputError, match="line 1: longer than 64 MiB"):
        read_run(path)


def test_missing_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such run file"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a folder"):
        read_run(tmp_path)


def test_memory_is_that_of_one_query(tmp_path: Path):
    path = tmp_path / "run"
    with open(path, "w") as file:
        for query in range(300):
            file.writelines(f"q{query} Q0 document-{query}-{d} {d} {2000 - d} tag\n" for d in range(1, 1001))
    code = (
        "from pathlib import Path; from repro.base.memory import peak_memory as peak\n"
        "from repro.formats.runs import read_queries\n"
        f"before = peak(); lines = sum(len(found) for _, found in read_queries(Path({str(path)!r})))\n"
        "print(lines, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines, megabytes = map(float, done.stdout.split())
    assert lines == 300_000 and megabytes < 15  # as dictionaries they take 50 MB
