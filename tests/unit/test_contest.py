"""Races of contestants that live here: rates by hand, and what becomes of one that dies."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.benchmarks import contest, dense_encoding, encoding
from repro.benchmarks.contest import Contestant, Result, report, run
from repro.benchmarks.worker import Turn
from repro.cli.options import CollectionOptions
from repro.report.markdown import race_table

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def steady(items=10, print_first=""):
    """A contestant that does ``items`` in 2 seconds, by its own clock."""

    def work():
        print(print_first)
        return items, {"seconds": 2.0, "peak MB": 7.4, "terms/query": 5.5}

    return work


def dying(moment, code, starts=None, process=1):
    """A contestant that dies when it loads (moment 0) or at its first, second ... piece of work.

    With ``starts``, a file that counts its processes, it does so in the process of that number only.
    """
    if starts:
        with open(starts, "a+", encoding="utf-8") as file:
            file.write("started\n")
            file.seek(0)
            process -= len(file.readlines()) - 1
    pieces = iter(range(1, 1000))

    def die(now):
        if now == moment and process == 1:
            print("first words", *"abc", "last words", sep="\n", file=sys.stderr, flush=True)
            os.kill(os.getpid(), -code) if code < 0 else os._exit(code)

    die(0)

    def work():
        die(next(pieces))
        return 1

    return work


def raising():
    """A contestant whose work raises."""

    def work():
        raise ValueError("nothing to do")

    return work


def contestant(name, function=steady, ours=False, rival=True, **settings):
    return Contestant(name, f"test_contest:{function.__name__}", settings, ours, rival, ENVIRONMENT)


def test_rates_and_figures_are_those_of_the_turns():
    fast, slow = run([contestant("fast", items=30), contestant("slow")], rounds=2, threads=1)
    assert fast.record() == {
        "name": "fast",
        "settings": {"items": 30},
        "rate": 15.0,
        "rates": [15.0, 15.0],
        "peak_memory_mb": 7,
        "figures": {"terms/query": 5.5},
    }
    assert slow.rate == 5.0


def test_what_a_library_prints_is_no_reply():
    (result,) = run([contestant("noisy", print_first='{"items": 1, "seconds": 9}')], rounds=1, threads=1)
    assert result.rate == 5.0


@pytest.mark.parametrize(
    ("alone", "moment", "when"),
    [
        (False, 0, "while loading"),
        (False, 1, "while warming up"),
        (False, 3, "in turn 2 of 3"),
        (True, 0, "while loading"),
        (True, 1, "while warming up"),
        (True, 2, "in turn 1 of 3"),
    ],
)
def test_one_that_dies_says_so_and_the_others_go_on(alone, moment, when, capfd):
    dies = contestant("mortal", dying, moment=moment, code=7)
    mortal, lives = run([dies, contestant("steady")], rounds=3, threads=1, alone=alone)
    message = f"ended with exit code 7 {when}; the last it wrote to stderr: b | c | last words"
    assert mortal.error == message and mortal.turns == ()
    assert mortal.record() == {"name": "mortal", "settings": dies.settings, "error": message}
    assert f"mortal {message}; going on with the others" in capfd.readouterr().err
    assert [turn.rate for turn in lives.turns] == [5.0, 5.0, 5.0]


def test_one_that_is_killed_names_the_signal():
    dies = contestant("mortal", dying, moment=2, code=-signal.SIGKILL)
    mortal, _ = run([dies, contestant("steady")], rounds=1, threads=1)
    assert mortal.error.startswith("was killed by signal 9 (Killed; out of memory?) in turn 1 of 1; the last")
    dies = contestant("mortal", dying, moment=2, code=-signal.SIGSEGV)
    mortal, _ = run([dies, contestant("steady")], rounds=1, threads=1)
    assert mortal.error.startswith("was killed by signal 11 (Segmentation fault) in turn 1 of 1; the last")


def test_one_that_is_out_is_not_started_again(tmp_path):
    starts = tmp_path / "starts"
    dies = contestant("mortal", dying, moment=2, code=1, starts=str(starts), process=2)
    mortal, _ = run([dies, contestant("steady")], rounds=4, threads=1, alone=True)
    assert "in turn 2 of 4" in mortal.error and mortal.turns == ()
    assert len(starts.read_text().splitlines()) == 2


def test_a_figure_of_an_earlier_turn_is_not_shown_for_one_that_died():
    dies = contestant("mortal", dying, moment=3, code=1)
    mortal, lives = run([dies, contestant("steady")], rounds=2, threads=1)
    assert "in turn 2 of 2" in mortal.error
    shown = report("encode", "sample", [lives, mortal])
    assert "rate" not in shown["peers"][0] and shown["ratio"] is None


@pytest.mark.parametrize("alone", [False, True])
def test_without_ours_there_is_no_race(alone):
    racers = [contestant("steady"), contestant("ours", raising, ours=True)]
    with pytest.raises(InputError) as told:
        run(racers, rounds=1, threads=1, alone=alone)
    assert str(told.value).startswith("ours ended with exit code 1 while warming up; the last it wrote")
    assert str(told.value).endswith("| ValueError: nothing to do")


def test_a_race_that_nobody_finishes_is_refused():
    racers = [contestant("one", dying, moment=0, code=1), contestant("two", dying, moment=1, code=1)]
    with pytest.raises(InputError, match="no contestant has finished: one ended with exit code 1 while"):
        run(racers, rounds=1, threads=1)


def test_peak_memory_is_a_contestants_own():
    """And not that of the process that started it, which Linux hands on."""
    ballast = bytearray(os.urandom(1)) * 400_000_000
    racer = contestant("light", dying, moment=-1, code=0)
    (light,) = run([racer], rounds=1, threads=1)
    assert len(ballast) == 400_000_000 and 5 < light.record()["peak_memory_mb"] < 300


def test_the_ratio_is_to_the_fastest_peer_with_the_same_result():
    def result(name, rate, **settings):
        return Result(Contestant(name, "", {}, **settings), (Turn(rate, 1.0, 50, {}),))

    results = [
        result("ours", 60, ours=True),
        result("slow", 10),
        result("fast", 20),
        result("approximate", 90, rival=False),
    ]
    shown = report("search", "sample", results, unit="queries a second")
    assert (shown["ratio"], shown["fastest_peer"], shown["unit"]) == (3.0, "fast", "queries a second")
    assert [peer["name"] for peer in shown["peers"]] == ["slow", "fast", "approximate"]
    assert report("scale", "sample", results[3:])["ours"]["name"] == "approximate"


def test_a_record_says_to_which_units_libraries_were_held(monkeypatch):
    for variable in contest.LIMITS:
        monkeypatch.delenv(variable, raising=False)
    results = run([contestant("ours", ours=True)], rounds=1, threads=1)
    assert " with " not in report("encode", "some", results)["machine"]["processor"]
    monkeypatch.setenv("REPRO_NATIVE", "avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    processor = report("encode", "some", results)["machine"]["processor"]
    assert processor.endswith(" with REPRO_NATIVE=avx2 ONEDNN_MAX_CPU_ISA=AVX2")


def test_encoders_that_compete_take_the_same_passages():
    """Fewer of them would be padded more, and a peer's rate would be another one."""
    of = Path("model"), CollectionOptions("sample"), 512
    for found in (
        encoding.contestants(*of, every=4, threads=2),
        dense_encoding.contestants("all-minilm-l6-v2", *of, every=4, threads=2),
    ):
        competing = [one for one in found if one.ours or one.rival]
        assert len(competing) > 4
        assert {one.settings["limit"] for one in competing} == {512}
        assert {one.settings.get("every", 1) for one in competing} == {1}
        assert {one.settings["every"] for one in found if "bfloat16" in one.name} == {4}


def test_vectors_are_compared_relative_to_their_length():
    unit = np.eye(2, 8, dtype=np.float32)
    for scale in (1.0, 1e3, 1e-3):
        near, far = unit * scale, unit * scale
        near[1, 3], far[1, 3] = 0.5e-6 * scale, 2e-6 * scale
        assert dense_encoding.comparison(near, unit * scale)["differing"] == 0
        assert dense_encoding.comparison(far, unit * scale)["differing"] == 1


@pytest.mark.parametrize("differing", [0, 3])
def test_a_table_says_that_results_are_the_same_only_if_they_are(differing):
    ours = {"name": "repro", "rate": 4.0, "peak_memory_mb": 1}
    record = {
        "ours": ours,
        "peers": [{**ours, "name": "it", "rate": 2.0}],
        "ratio": 2.0,
        "fastest_peer": "it",
    }
    record |= {"unit": "texts a second", "threads": 1, "machine": {"processor": "x"}, "differing": differing}
    text = race_table(record)
    assert ("with the same result" in text) != bool(differing)
    assert ("although results differ" in text) == bool(differing)
