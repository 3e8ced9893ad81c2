"""Run contestants in turn, A B C A B C ..., each in a process that stays, and take medians.

Interleaving spreads the machine's drift over all of them; a process each (``worker``) keeps their libraries,
threads and peak memory apart. Where two do not fit into memory together, each is started for its turn, does
the work once to warm up, and ends. One that dies leaves the contest, with what it wrote last; the others go
on, unless it is ours.
"""

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from repro.artifacts.provenance import provenance
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.benchmarks.worker import Turn

LIMITS = ("REPRO_NATIVE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Variables of the environment that hold this project, torch, oneDNN and MKL to some units of a processor."""
LINES = 3
"""Of what a dead contestant wrote to stderr, so many last lines are told."""


@dataclass(frozen=True)
class Contestant:
    """Who does the work, with what settings. ``function`` is MODULE:FUNCTION, see ``worker``.

    ``rival``: a peer whose result is the same, so that it counts for the ratio.
    """

    name: str
    function: str
    settings: dict[str, Any]
    ours: bool = False
    rival: bool = True
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A contestant's turns, or why it has none that count."""

    contestant: Contestant
    turns: tuple[Turn, ...]
    error: str = ""

    @property
    def rate(self) -> float:
        """Items a second: the median over the turns."""
        return statistics.median(turn.rate for turn in self.turns)

    def record(self) -> dict[str, Any]:
        """Return what --json writes: rates a turn and their median, peak memory (MB), the last turn's
        figures.
        """
        record = {"name": self.contestant.name, "settings": self.contestant.settings}
        if self.error:
            return {**record, "error": self.error}
        last = self.turns[-1]
        return {
            **record,
            "rate": round(self.rate, 2),
            "rates": [round(turn.rate, 2) for turn in self.turns],
            "peak_memory_mb": last.peak_memory_mb,
            **({"figures": last.figures} if last.figures else {}),
        }


class Died(Exception):
    """A contestant's process has ended before its time; the message says how, when, and what it wrote
    last.
    """


class Worker:
    """A contestant's process, which loads at once; a context manager."""

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by __exit__)
        settings = json.dumps(contestant.settings)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "repro.benchmarks.worker", contestant.function, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **contestant.environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.process.kill()
        self.process.communicate()  # its stdin ends, and so does it
        self.errors.close()

    def await_ready(self) -> None:
        """Wait until it has loaded; Died if it does not."""
        self._reply("while loading")

    def take_turn(self, when: str) -> Turn:
        """Have it do its work once; Died if it does not, told with ``when``."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Died(self._ending(when)) from None
        return Turn(**self._reply(when))

    def _reply(self, when: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise Died(self._ending(when))
        return json.loads(line)

    def _ending(self, when: str) -> str:
        code = self.process.wait()
        ending = f"ended with exit code {code}"
        if code < 0:
            guess = "; out of memory?" if code == -signal.SIGKILL else ""
            ending = f"was killed by signal {-code} ({signal.strsignal(-code)}{guess})"
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 10_000))
        written = self.errors.read().decode(errors="replace").splitlines()
        last = [line.strip() for line in written if line.strip()][-LINES:]
        return f"{ending} {when}; the last it wrote to stderr: {' | '.join(last) or 'nothing'}"


def run(
    contestants: list[Contestant], rounds: int, threads: int, alone: bool = False, warm: bool = True
) -> list[Result]:
    """Let each contestant do its work ``rounds`` times and return the results, in the contestants' order.

    ``alone``: a process for each turn. ``warm``: each process does the work once before it counts. InputError
    if ours dies, or all do.
    """
    race = Race(contestants, rounds, threads)
    if alone:
        race.run_alone(warm)
    else:
        race.run_together(warm)
    results = race.results()
    if all(result.error for result in results):
        raise InputError(f"no contestant has finished: {results[0].contestant.name} {results[0].error}")
    return results


class Race:
    """Turns taken so far, and who is out."""

    def __init__(self, contestants: list[Contestant], rounds: int, threads: int) -> None:
        self.contestants, self.rounds, self.threads = contestants, rounds, threads
        self.turns: dict[str, list[Turn]] = {contestant.name: [] for contestant in contestants}
        self.errors: dict[str, str] = {}

    def run_together(self, warm: bool) -> None:
        """All are started, then take turns."""
        with ExitStack() as stack:
            workers = {c.name: stack.enter_context(Worker(c, self.threads)) for c in self.contestants}
            for contestant in track(self.contestants, len(workers), "warming up", "contestants"):
                self._warm_up(contestant, workers[contestant.name], warm)
            turns = [(i, c) for i in range(self.rounds) for c in self.contestants]
            for i, contestant in track(turns, len(turns), "racing", "turns"):
                self._take_turn(contestant, workers[contestant.name], i)

    def run_alone(self, warm: bool) -> None:
        """Each is started for its turn, so that no two are in memory together."""
        turns = [(i, c) for i in range(self.rounds) for c in self.contestants]
        for i, contestant in track(turns, len(turns), "racing", "turns"):
            if contestant.name not in self.errors:
                with Worker(contestant, self.threads) as worker:
                    self._warm_up(contestant, worker, warm)
                    self._take_turn(contestant, worker, i)

    def results(self) -> list[Result]:
        """Return what each has done; turns of one that died do not count."""
        return [
            Result(c, () if c.name in self.errors else tuple(self.turns[c.name]), self.errors.get(c.name, ""))
            for c in self.contestants
        ]

    def _warm_up(self, contestant: Contestant, worker: Worker, warm: bool) -> None:
        try:
            worker.await_ready()
            if warm:
                worker.take_turn("while warming up")
        except Died as error:
            self._leave(contestant, error)

    def _take_turn(self, contestant: Contestant, worker: Worker, i: int) -> None:
        if contestant.name in self.errors:
            return
        try:
            self.turns[contestant.name].append(worker.take_turn(f"in turn {i + 1} of {self.rounds}"))
        except Died as error:
            self._leave(contestant, error)

    def _leave(self, contestant: Contestant, error: Died) -> None:
        if contestant.ours:
            raise InputError(f"{contestant.name} {error}") from error
        self.errors[contestant.name] = str(error)
        note(f"{contestant.name} {error}; going on with the others")


def report(stage: str, collection: str, results: list[Result], **facts: Any) -> dict[str, Any]:
    """Return what --json writes: ours, peers, and the ratio of ours to the fastest peer with the same result.

    Where no contestant is called ours, the first that has finished stands in its place.
    """
    finished = [result for result in results if not result.error]
    ours = next((result for result in finished if result.contestant.ours), finished[0])
    rivals = [result for result in finished if result.contestant.rival and result is not ours]
    fastest = max(rivals, key=lambda result: result.rate, default=None)
    return {
        "stage": stage,
        "collection": collection,
        "ours": ours.record(),
        "peers": [result.record() for result in results if result is not ours],
        "ratio": round(ours.rate / fastest.rate, 2) if fastest else None,
        "fastest_peer": fastest.contestant.name if fastest else None,
        **facts,
        "machine": machine(),
        "made": provenance(),
    }


def machine() -> dict[str, Any]:
    """Return what tells the machine: its processor, how many processors, its system."""
    return {"processor": _processor(), "processors": os.cpu_count(), "system": platform.platform()}


def _processor() -> str:
    """Return the processor's name, those of its units that matter here, and what libraries are held to."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    units = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    held = [f"{variable}={os.environ[variable]}" for variable in LIMITS if variable in os.environ]
    text = f"{name or platform.machine()} ({', '.join(unit for unit in units if unit in flags)})"
    return f"{text} with {' '.join(held)}" if held else text
