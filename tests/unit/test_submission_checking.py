"""Runs held to a profile: each fault is found in its line and named, and nothing is found in good runs."""

import bz2
import gzip

import numpy as np
import pytest
from conftest import real_collection

from repro import submit
from repro.cli.submission_options import TopicsOptions
from repro.formats.runs import write_run
from repro.submission import columns
from repro.submission.checking import check_run
from repro.submission.profiles import PROFILES
from repro.submission.topics import Topics, topics_of

TOPICS = Topics("c", frozenset({b"q1", b"q2"}), frozenset({b"q1", b"q2", b"q3"}))
NUMBERED = Topics("c", frozenset({b"1"}), frozenset({b"1", b"2"}))
SEGMENT = "msmarco_v2.1_doc_51_766815931#2_{}"
HEADER = "# ir_metadata.start\n# tag: t\n# {}\n# ir_metadata.end\nq1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\n"
COMPONENTS = "platform: {}\n# research goal: {}\n# implementation: {}\n# method: {}\n# actor: {}\n# data: {}"


def lines(count, docid="{}", columns="1 Q0 {docid} {rank} {score} t"):
    """Return a topic with so many documents."""
    line = columns + "\n"
    return "".join(line.format(docid=docid.format(i), rank=i, score=-i) for i in range(1, count + 1))


GOOD = {
    "generic": "q1 Q0 a 1 3.5 t\nq1 Q0 b 2 2.5 t\nq2 Q0 a 1 1e2 t\nq3 Q0 é 1 -1 t\n",
    "dl": lines(1000),
    "rag": lines(100, SEGMENT),
    "msmarco": lines(1000, columns="1\t{docid}\t{rank}"),
}
BROKEN = [
    # profile, run, kind of the one fault, its line (None: the whole run), what it must say
    ("generic", "", "empty", None, "no line in it; expected qid Q0 docid rank score tag"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3\n", "columns", 2, "5 columns; expected qid Q0"),
    ("generic", "q1 Q0 a 1 3 my t\nq1 Q0 b 2 2 t\nq2 Q0 a 1 3 t\n", "columns", 1, "7 columns"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 t t\nQ0 b 2 2 t\n", "columns", 2, "7 columns"),
    ("generic", "q1\ta\t1\n", "columns", 1, "3 columns, as MS MARCO's form"),
    ("generic", "q1 0 a 1\n", "columns", 1, "4 columns, as judgments"),
    ("generic", "q1,Q0,a,1,3.5,t\n", "columns", 1, "separated by commas"),
    ("generic", '{"q1": {"a": 3.5}}\n', "columns", 1, "JSON; make a run of it with python -m repro.submit"),
    ("generic", "q1 Q0 a 1 3 t\n\nq2 Q0 a 1 3 t\n", "columns", 2, "a blank line"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\n# end\n", "comment", 3, "a comment"),
    ("generic", "q1 Q0 a 1 3 t\nq2 0 a 1 3 t\n", "Q0", 2, "the second column is '0'; expected Q0"),
    ("generic", "q1 q0 a 1 3 t\nq2 Q0 a 1 3 t\n", "Q0", 1, "the second column is 'q0'"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1.0 3 t\n", "rank", 2, "rank '1.0'; expected a whole number"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a -1 3 t\n", "rank", 2, "rank '-1'"),
    ("generic", f"q1 Q0 a 1 3 t\nq2 Q0 a {'9' * 5000} 3 t\n", "rank", 2, "rank '9999"),
    ("generic", "q1 Q0 a 1 3 t\nq1 Q0 b 1 2 t\nq2 Q0 a 1 3 t\n", "rank", 2, "has rank 1 a second time"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 high t\n", "score", 2, "score 'high'; expected a finite number"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 nan t\n", "score", 2, "score 'nan'"),
    ("generic", "q1 Q0 a 1 -inf t\nq2 Q0 a 1 3 t\n", "score", 1, "score '-inf'"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3,5 t\n", "score", 2, "score '3,5'"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 1_000 t\n", "score", 2, "score '1_000'"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 1e39 t\n", "score", 2, "score '1e39'"),
    ("generic", "q1 Q0 a 1 3 t\nq1 Q0 b 2 4 t\nq2 Q0 a 1 3 t\n", "order", 2, "rank 2 has score 4, rank 1"),
    ("generic", "q1 Q0 a 2 3 t\nq1 Q0 b 1 2 t\nq2 Q0 a 1 3 t\n", "order", 2, "rank 1 has score 2, rank 2"),
    # not with the line before, but with the neighbour in rank
    (
        "generic",
        "q1 Q0 a 1 10 t\nq1 Q0 c 3 5 t\nq1 Q0 b 2 20 t\nq2 Q0 a 1 3 t\n",
        "order",
        3,
        "rank 1 before",
    ),
    ("generic", "q1 Q0 a 1 9 t\nq1 Q0 c 3 5 t\nq1 Q0 b 2 4 t\nq2 Q0 a 1 3 t\n", "order", 3, "rank 3 before"),
    (
        "generic",
        "q1 Q0 b 2 9 t\nq1 Q0 a 1 10 t\nq1 Q0 c 3 9.5 t\nq2 Q0 a 1 3 t\n",
        "order",
        3,
        "rank 3 has score 9.5, rank 2 before it 9;",
    ),
    # lines that stand apart
    (
        "generic",
        "q1 Q0 a 1 9 t\nq2 Q0 a 1 9 t\nq1 Q0 b 2 9.5 t\n",
        "order",
        3,
        "rank 2 has score 9.5, rank 1",
    ),
    (
        "generic",
        "q1 Q0 a 1 9 t\nq1 Q0 c 3 7 t\nq2 Q0 a 1 9 t\nq1 Q0 b 2 6 t\n",
        "order",
        4,
        "rank 2 has score 6, rank 3 before it 7;",
    ),
    (
        "generic",
        "q1 Q0 a 1 10 t\nq1 Q0 b 2 9 t\nq2 Q0 a 1 5 t\nq1 Q0 c 2 8 t\n",
        "rank",
        4,
        "topic q1 has rank 2 a second time",
    ),
    ("msmarco", "1\t8\t1\n2\t8\t1\n1\t9\t1\n", "rank", 3, "topic 1 has rank 1 a second time"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 u\n", "tag", 2, "tag 'u'; the lines before have 't'"),
    ("generic", "q1 Q0 a 1 3 t\nq1 Q0 a 2 2 t\nq2 Q0 a 1 3 t\n", "duplicate", 2, "q1 lists document a a sec"),
    ("generic", "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\nq1 Q0 a 2 2 t\n", "duplicate", 3, "q1 lists document a a sec"),
    (
        "generic",
        "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\nq9 Q0 a 1 3 t\n",
        "unknown topic",
        3,
        "q9 is none of c's",
    ),
    ("generic", "q1 Q0 a 1 3 t\nq3 Q0 a 1 3 t\n", "missing topic", None, "topic q2 has no line"),
    ("generic", "\ufeffq1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\n", "text", 1, "a byte-order mark"),
    ("generic", b"q1 Q0 \xe9 1 3 t\nq2 Q0 a 1 3 t\n", "text", 1, "not UTF-8"),
    ("generic", HEADER.format("actor: [me"), "ir_metadata", 1, "the header is not YAML"),
    (
        "generic",
        HEADER.format(f"{COMPONENTS}\n# colour: red"),
        "ir_metadata",
        1,
        "colour: no key of",
    ),
    ("generic", HEADER.format(COMPONENTS.replace("# data: {}", "#")), "ir_metadata", 1, "data is missing"),
    ("generic", HEADER.format(COMPONENTS).replace(".end", ""), "ir_metadata", 9, "the header does not end"),
    (
        "dl",
        "1 Q0 8 1 3 arctic-embed-m-v1.5\n",
        "tag",
        1,
        "'arctic-embed-m-v1.5'; expected 1 to 25",
    ),
    ("dl", f"1 Q0 8 1 3 {'t' * 26}\n", "tag", 1, "expected 1 to 25 letters, digits, '-' and '_'"),
    (
        "dl",
        "1 Q0 8 1 3 t\n1 Q0 p8 2 2 t\n",
        "docid",
        2,
        "id 'p8'; expected one like 8412684 or D1035",
    ),
    ("dl", "1 Q0 8 1 3 t\n1 Q0 D8 2 2 t\n", "docid", 2, "D8 is of documents of MS MARCO v1, those before"),
    ("dl", lines(101, "msmarco_passage_02_{}"), "too many", 101, "topic 1 has more than 100 documents"),
    ("dl", lines(1001), "too many", 1001, "topic 1 has more than 1,000 documents"),
    ("dl", "# ir_metadata.start\n# ir_metadata.end\n1 Q0 8 1 3 t\n", "comment", 1, "which dl does not take"),
    (
        "rag",
        "1 Q0 msmarco_v2.1_doc_51_76 1 3 t\n",
        "docid",
        1,
        "expected one like msmarco_v2.1_doc_51_7668",
    ),
    ("rag", lines(101, SEGMENT), "too many", 101, "topic 1 has more than 100 documents"),
    ("msmarco", "1 8 1\n", "columns", 1, "separated by blanks; expected qid<TAB>pid<TAB>rank"),
    ("msmarco", "1 Q0 8 1 3 t\n", "columns", 1, "6 columns, as a TREC run"),
    ("msmarco", "1\t8\t0\n", "rank", 1, "rank 0; expected 1 to 1,000"),
    ("msmarco", "1\tD8\t101\n", "rank", 1, "rank 101; expected 1 to 100"),
    ("msmarco", "1\t8\t1\n1\t8\t2\n", "duplicate", 2, "topic 1 lists document 8 a second time"),
    ("msmarco", "1\t8\t1\n1\t9\t1\n", "rank", 2, "topic 1 has rank 1 a second time"),
    ("msmarco", "1\t8\tfirst\n", "rank", 1, "rank 'first'"),
    ("msmarco", "1\tp8\t1\n", "docid", 1, "document id 'p8'"),
    ("msmarco", "1\t8\t1\nq1\t8\t1\n", "topic id", 2, "topic 'q1'; expected an integer"),
]


def write(tmp_path, text):
    path = tmp_path / "run"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def topics(profile):
    return TOPICS if profile == "generic" else NUMBERED


@pytest.mark.parametrize(("profile", "run", "kind", "line", "says"), BROKEN)
def test_a_broken_run_has_its_fault_named(tmp_path, profile, run, kind, line, says):
    path = write(tmp_path, run)
    report = check_run(path, PROFILES[profile], topics(profile))
    first = report.sentences()[0]
    where = f"{path}: " if line is None else f"{path}, line {line}: "
    assert first.startswith(where) and says in first
    others = {"missing topic"} if kind in ("columns", "comment") else set()  # a line that was left out
    assert report.faults.counts.keys() - others == {kind}
    assert report.sentences()[-1].startswith("FAULTY")


@pytest.mark.parametrize(("profile", "run"), [*GOOD.items(), *((row[0], row[1]) for row in BROKEN)])
def test_lines_taken_together_and_one_by_one_give_the_same(tmp_path, monkeypatch, profile, run):
    path = write(tmp_path, run)
    together = check_run(path, PROFILES[profile], topics(profile))
    monkeypatch.setattr(columns, "BATCH", 16)  # the first line tells the tag; from the second on
    assert check_run(path, PROFILES[profile], topics(profile)) == together


@pytest.mark.parametrize(("profile", "run"), GOOD.items())
def test_a_good_run_passes_with_its_counts(tmp_path, profile, run):
    report = check_run(write(tmp_path, run), PROFILES[profile], topics(profile))
    assert not report.faults.total and not report.warnings
    assert f"{run.count(chr(10)):,} lines" in report.sentences()[-1]
    assert "all " in report.sentences()[-1] and report.sentences()[-1].startswith("OK")


@pytest.mark.parametrize(
    "change",
    [
        gzip.compress,
        bz2.compress,
        lambda run: run.removesuffix(b"\n"),
        lambda run: run.replace(b"\n", b"\r\n"),
        lambda run: run.replace(b" ", b"\t"),
        lambda run: run.replace(b" ", b"  "),
        lambda run: b"".join(sorted(run.splitlines(True), key=lambda line: line.split()[3])),  # topics apart
        lambda run: HEADER.format(COMPONENTS).encode().partition(b"q1")[0] + run,
    ],
)
def test_what_evaluators_read_alike_passes(tmp_path, change):
    report = check_run(write(tmp_path, change(GOOD["generic"].encode())), PROFILES["generic"], TOPICS)
    assert report.sentences()[0].startswith("OK") and report.lines == 4


def test_what_a_venue_accepts_and_may_be_a_mistake_is_a_warning(tmp_path):
    run = "q1 Q0 a 0 3 t\nq1 Q0 b 1 2 t\nq1 Q0 c 2 2.00000001 t\n"
    report = check_run(write(tmp_path, run.replace("2.00000001", "1.99999999")), PROFILES["generic"])
    assert not report.faults.total
    assert report.warnings == [
        "topics whose ranks do not go from 1 up by one: 1",
        "documents with the same score as the one before (as 32-bit floats): 1; evaluators order them by "
        "docid",
    ]


def test_each_fault_of_lines_that_stand_together_and_apart_is_told_once(tmp_path):
    together = "q1 Q0 a 1 3 t\nq1 Q0 b 2 4 t\nq1 Q0 a 3 1 t\nq1 Q0 c 3 1 t\n"  # order, duplicate, rank
    apart = "q1 Q0 b 9 0 t\nq1 Q0 b 3 0 t\nq1 Q0 d 8 2 t\n"  # duplicate of b twice, rank 3, order of 8
    report = check_run(write(tmp_path, together + "q2 Q0 a 1 3 t\n" + apart), PROFILES["generic"], TOPICS)
    assert report.faults.counts == {"order": 2, "duplicate": 3, "rank": 2}
    assert [line for line, *_ in report.faults.first] == [2, 3, 4, 6, 7, 7, 8]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0, 3, 1]])
@pytest.mark.parametrize("between", ["", "q2 Q0 {0} {0} -{0} t\n"])
def test_ties_are_counted_in_any_order_of_lines(tmp_path, order, between):
    ranked = ["q1 Q0 a 1 3 t\n", "q1 Q0 b 2 2 t\n", "q1 Q0 c 3 2 t\n", "q1 Q0 d 4 2 t\n"]
    run = "".join(ranked[place] + between.format(line) for line, place in enumerate(order, 1))
    report = check_run(write(tmp_path, run), PROFILES["generic"])
    assert not report.faults.total
    (warning,) = report.warnings
    assert "the same score as the one before (as 32-bit floats): 2;" in warning


def test_the_first_twenty_faults_by_line_are_shown_and_all_counted(tmp_path):
    apart = "q1 Q0 a 1 3 t\nq2 Q0 a 1 3 t\nq1 Q0 a 2 2 t\n"  # found last, in a second pass
    later = "".join(f"q3 0 d{rank} {rank} {-rank} t\n" for rank in range(1, 31))
    sentences = check_run(write(tmp_path, apart + later), PROFILES["generic"], TOPICS).sentences()
    assert "line 3: topic q1 lists document a" in sentences[0]
    assert "line 22: " in sentences[19] and sentences[20] == "... and 11 more"
    assert sentences[21].endswith("31 faults (Q0 30, duplicate 1)")


def test_hits_overrides_the_documents_a_topic(tmp_path):
    path = write(tmp_path, lines(11))
    assert check_run(path, PROFILES["dl"], depth=10).faults.counts == {"too many": 1}
    assert not check_run(path, PROFILES["dl"], depth=11).faults.total


def test_a_run_of_this_project_passes(tmp_path):
    """Ties, scores of all sizes, names with dots: what ``write_run`` makes of them."""
    drawn = np.random.default_rng(1).choice([0.1, 7, -2e9, 1e-30, 5e7], (3, 999)).tolist()
    results = [(f"q{i}", {f"d{j}": score for j, score in enumerate(row)}) for i, row in enumerate(drawn, 1)]
    write_run(tmp_path / "run", results, "arctic-embed-m-v1.5")
    assert check_run(tmp_path / "run", PROFILES["generic"], TOPICS).sentences()[0].startswith("OK")


@pytest.mark.parametrize("track", ["dl19", "dl20"])
def test_the_stored_runs_of_six_systems_pass(track):
    folder = real_collection("msmarco-mini")
    judged = topics_of(str(folder), TopicsOptions(split=track))
    runs = sorted((folder / "runs").glob(f"*_{track}.trec"))
    assert len(runs) == 6
    for run in runs:
        report = check_run(run, PROFILES["dl"], judged)
        assert report.sentences()[-1].startswith("OK"), report.sentences()
        assert report.documents == [100] * len(judged.required) and report.tag == run.stem


def test_the_command_prints_and_its_code_tells(tmp_path, beir, capsys):
    good = write(tmp_path, "q1 Q0 d1 1 3 t\nq2 Q0 d2 1 3 t\nq3 Q0 d6 1 3 t\n")
    assert submit.main(["check", str(good), "--collection", str(beir)]) == 0
    assert capsys.readouterr().out.endswith("tag t; all 3 topics of tiny-test answered\n")
    bad = tmp_path / "bad"
    bad.write_text("q1 Q0 d1 1 3 t\n")
    assert submit.main(["check", str(good), str(bad), "--collection", str(beir)]) == 1
    assert f"{bad}: topic q2 has no line" in capsys.readouterr().out
