"""Stages that are killed at random moments: one that ends as if it had not been, and some that do not."""

import pytest

from repro.base.errors import InputError
from repro.benchmarks.killing import Step, kill
from repro.cli.stages import Stage

WHOLE = """
import os, time
with open("made.partial", "w") as file:
    for number in range(4):
        print(number, file=file, flush=True)
        time.sleep(0.06)
os.replace("made.partial", "made")
"""
ADDS = """
import time
for number in range(4):
    with open("made", "a") as file:
        print(number, file=file)
    time.sleep(0.06)
"""
LEAVES = WHOLE.replace('"made.partial"', 'f"made.{os.getpid()}"')


@pytest.fixture
def step_of(tmp_path, monkeypatch):
    """Write a module, and return the step that it is."""
    monkeypatch.chdir(tmp_path)

    def write(source: str) -> Step:
        (tmp_path / "stage_of_test.py").write_text(source)
        return Step("test", Stage("stage_of_test", ()), (tmp_path / "made",), 4)

    return write


def test_a_stage_that_begins_anew_ends_with_the_same_bytes(step_of, tmp_path):
    found = kill(step_of(WHOLE), 3, tmp_path / "undisturbed")
    assert (found.kills, found.differing) == (3, []) and found.compared >= 1
    assert (tmp_path / "made").read_text() == (tmp_path / "undisturbed/0/made").read_text() == "0\n1\n2\n3\n"


def test_a_stage_that_adds_to_what_was_left_differs(step_of, tmp_path):
    assert f"{tmp_path / 'made'} differs" in " ".join(kill(step_of(ADDS), 3, tmp_path / "whole").differing)


def test_what_killed_processes_leave_is_told(step_of, tmp_path):
    found = kill(step_of(LEAVES), 3, tmp_path / "undisturbed").differing
    assert found and all(sentence.endswith(" was left over") for sentence in found)


def test_a_stage_that_fails_says_why(step_of, tmp_path):
    with pytest.raises(InputError, match=r"ended with exit code 1: .*the disk is gone"):
        kill(step_of("raise SystemExit('the disk is gone')"), 1, tmp_path / "undisturbed")
