"""Runs in TREC's, MS MARCO's and ranx's form become each other: same documents, order and scores."""

import bz2
import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from repro import submit
from repro.base.errors import InputError
from repro.cli.submission_options import ConversionOptions
from repro.formats.runs import read_run
from repro.submission import converting
from repro.submission.converting import convert
from repro.submission.files import form_of, plain

TREC = "q1 Q0 b 1 3.5 t\nq1 Q0 a 2 2.25 t\nq2 Q0 a 1 12 t\n"
MSMARCO = "q1\tb\t1\nq1\ta\t2\nq2\ta\t1\n"
RANX = {"q1": {"b": 3.5, "a": 2.25}, "q2": {"a": 12}}


def converted(tmp_path, text, name, **options):
    source = tmp_path / "source"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    convert(source, tmp_path / name, ConversionOptions(**options))
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize("text", [TREC, json.dumps(RANX), gzip.compress(TREC.encode(), mtime=0)])
def test_forms_with_scores_become_each_other(tmp_path, text):
    assert converted(tmp_path, text, "run.trec", tag="t").decode() == TREC
    assert converted(tmp_path, text, "run.tsv").decode() == MSMARCO
    assert json.loads(converted(tmp_path, text, "run.json")) == RANX


def test_ranks_become_scores_as_pyserini_has_them(tmp_path):
    source = tmp_path / "run.tsv"
    source.write_text(MSMARCO + "".join(f"q3\td{rank}\t{rank}\n" for rank in range(1, 1001)))
    convert(source, tmp_path / "ours", ConversionOptions(to="trec", tag="anserini"))
    package = Path(importlib.util.find_spec("pyserini").submodule_search_locations[0])
    script = package / "eval/convert_msmarco_run_to_trec_run.py"
    command = [sys.executable, script, "--input", source, "--output", tmp_path / "theirs"]
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = ((tmp_path / name).read_text().splitlines() for name in ("ours", "theirs"))
    assert len(ours) == 1003
    for mine, other in zip(ours, theirs, strict=True):
        *mine, score, tag = mine.split()
        *other, expected, other_tag = other.split()
        assert (mine, tag) == (other, other_tag) and float(score) == pytest.approx(float(expected), rel=1e-7)


def test_a_foreign_run_becomes_strict(tmp_path):
    """Ranks from 0 and equal scores, ordered as trec_eval has them, or by rank."""
    foreign = "q1\tQ0 a 0 2 t\nq1 Q0 b 1 2 t\n"
    assert converted(tmp_path, foreign, "run.trec").decode() == "q1 Q0 b 1 2 t\nq1 Q0 a 2 1.9999999 t\n"
    assert converted(tmp_path, foreign, "run.tsv").decode() == "q1\tb\t1\nq1\ta\t2\n"
    assert converted(tmp_path, foreign, "run.tsv", by_rank=True).decode() == "q1\ta\t1\nq1\tb\t2\n"


def test_a_header_of_ir_metadata_is_left_out(tmp_path):
    header = "# ir_metadata.start\n# tag: t\n# ir_metadata.end\n"
    assert converted(tmp_path, header + TREC, "run.trec").decode() == TREC
    assert converted(tmp_path, header + TREC, "run.tsv").decode() == MSMARCO


@pytest.mark.parametrize(("suffix", "unpack"), [(".gz", gzip.decompress), (".bz2", bz2.decompress)])
def test_output_is_compressed_by_its_name_and_the_same_each_time(tmp_path, suffix, unpack):
    packed = converted(tmp_path, TREC, f"run.tsv{suffix}")
    assert unpack(packed).decode() == MSMARCO
    assert converted(tmp_path, TREC, f"again.tsv{suffix}") == packed
    assert form_of(tmp_path / f"run.tsv{suffix}") == "msmarco"


@pytest.mark.parametrize(
    ("text", "name", "options", "says"),
    [
        (TREC, "run", {}, "its name does not tell a form; name it with --to trec, msmarco, json"),
        (TREC, "source", {"to": "trec"}, "the same file as the input"),
        (MSMARCO, "run.trec", {}, "--tag: .* has none"),
        (MSMARCO, "run.json", {"by_rank": True}, "--by-rank: .* is no TREC run"),
        ("a b\n", "run.trec", {}, "source, line 1: neither TREC's six columns"),
        ("", "run.trec", {}, "source, line 1: neither"),
        (TREC + "q2 Q0 a 2\n", "run.tsv", {}, "source, line 4: expected 6 columns"),
        (
            gzip.compress((TREC + "q2 Q0 a 2\n").encode(), mtime=0),
            "run.tsv",
            {},
            "source, line 4: expected 6 columns",
        ),
        (MSMARCO + "q2\tb\tlast\n", "run.json", {}, "source, line 4: expected qid, pid and a rank from 1 up"),
        (MSMARCO + "q2\ta\t2\n", "run.json", {}, "source, line 4: topic q2 lists document a a second time"),
        (MSMARCO + "q1\tc\t3\n", "run.json", {}, "source, line 4: topic q1 goes on after others"),
        ('{"q1": {"a": 1}', "run.tsv", {}, "source: not JSON"),
        ('{"q1": {"a": "1"}}', "run.tsv", {}, "source, topic 'q1': expected document ids, with"),
        ('{"1": {"a b": 2.0}}', "run.json", {}, "source, topic '1': the id 'a b' is not one word"),
        ('{"q 1": {"a": 2.0}}', "run.tsv", {}, "source, topic 'q 1': the id 'q 1' is not one word"),
        ('{"1": {"": 2.0}}', "run.tsv", {}, "source, topic '1': the id '' is not one word"),
        ('{"1": {"\\ud800": 2.0}}', "run.tsv", {}, r"the id '\\ud800' is not one word"),
        (f'{{"1": {{"a": {"9" * 401}}}}}', "run.json", {}, "topic '1': .* finite numbers"),
        ('{"1": {"a": 1e39}}', "run.json", {}, "topic '1': .* finite numbers"),
        ('{"1": {"a": Infinity}}', "run.json", {}, "topic '1': .* finite numbers"),
        ('{"1": {"a": NaN}}', "run.json", {}, "topic '1': .* finite numbers"),
        ("q1 Q0 a 1 inf t\n", "run.json", {}, "source, topic q1: the score of document a is no finite"),
        ("q1 Q0 b 1 1 t\nq1 Q0 a 2 -1e39 t\n", "run.trec", {}, "topic q1: the score of document a is no"),
        (MSMARCO + "q2\tb\t-1\n", "run.json", {}, "source, line 4: expected qid, pid and a rank from 1 up"),
        (MSMARCO + "q2\tb c\t2\n", "run.json", {}, "source, line 4: a qid or pid with a blank"),
        (MSMARCO + "q2\t\t2\n", "run.json", {}, "source, line 4: a qid or pid .* or an empty one"),
        (gzip.compress(TREC.encode(), mtime=0)[:-9], "run.tsv", {}, "source: the compressed file is cut off"),
        (bz2.compress(TREC.encode())[:-9], "run.tsv", {}, "source: the compressed file is cut off"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_nothing_written(tmp_path, text, name, options, says):
    with pytest.raises(InputError, match=says):
        converted(tmp_path, text, name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("run", [{}, {"q1": {}}, RANX])
def test_what_is_written_is_json(tmp_path, run):
    assert json.loads(converted(tmp_path, json.dumps(run), "run.json")) == run


def test_a_run_is_unpacked_only_to_be_converted(tmp_path, monkeypatch):
    """And not for its tag, which the first line behind the header tells."""
    unpacked = []
    monkeypatch.setattr(converting, "plain", lambda path: unpacked.append(path) or plain(path))
    header = "# ir_metadata.start\n# tag: u\n# ir_metadata.end\n"
    packed = gzip.compress((header + TREC).encode(), mtime=0)
    assert converted(tmp_path, packed, "run.trec").decode() == TREC
    assert len(unpacked) == 1


def test_the_command(tmp_path, capsys):
    (tmp_path / "run.trec").write_text(TREC)
    assert submit.main(["convert", str(tmp_path / "run.trec"), str(tmp_path / "run.json")]) == 0
    assert capsys.readouterr().out == "2 topics, 3 documents\n"
    assert submit.main(["convert", str(tmp_path / "run.json"), str(tmp_path / "b.trec"), "--tag", "u"]) == 0
    assert read_run(tmp_path / "b.trec") == RANX
