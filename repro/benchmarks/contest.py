"""Run contestants in turn, A B C A B C ..., each in a process that stays, and take medians.

Interleaving spreads the machine's drift over all of them; a process each keeps their libraries, threads and peak memory
apart. Where two do not fit into memory together, each is started for its turn, does the work once to warm up, and ends. A contestant is a function in a module of this package, named ``module:function``; called with its settings, it
loads what it needs and returns a function that does the work once and returns the number of items done, alone or with
further figures ({column: number}) of that turn; a figure named "seconds" is the time that counts.
"""

import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from repro.artifacts.provenance import provenance
from repro.base.progress import track


@dataclass(frozen=True)
class Contestant:
    """Who does the work, with what settings. ``rival``: a peer whose result is the same, so that it
    counts for the ratio."""

    name: str
    function: str
    settings: dict
    ours: bool = False
    rival: bool = True
    environment: dict[str, str] = field(default_factory=dict)


def run(contestants: list[Contestant], rounds: int, threads: int, alone: bool = False) -> list[dict]:
    """Return each contestant's name, settings, rates (items a second, a round each), median rate and peak memory (MB),
    and the last turn's further figures.

    One that cannot start, since its library is not installed, say, has ``error`` instead. ``alone``: a process a turn.
    """
    if alone:
        return _run_alone(contestants, rounds, threads)
    workers = {contestant.name: _start(contestant, threads) for contestant in contestants}
    rates = {name: [] for name in workers}
    ready = {name: _read(worker) for name, worker in workers.items()}
    alive = [name for name, said in ready.items() if "error" not in said]
    for name in track(alive, len(alive), "warming up", "contestants"):
        _ask(workers[name])
    turns = [name for _ in range(rounds) for name in alive]
    for name in track(turns, len(turns), "racing", "turns"):
        said = _ask(workers[name])
        rates[name].append(said["items"] / said["seconds"])
        ready[name] = said
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return [_result(contestant, ready[contestant.name], rates[contestant.name]) for contestant in contestants]


def _run_alone(contestants: list[Contestant], rounds: int, threads: int) -> list[dict]:
    rates = {contestant.name: [] for contestant in contestants}
    last: dict[str, dict] = {}
    turns = [contestant for _ in range(rounds) for contestant in contestants]
    for contestant in track(turns, len(turns), "racing", "turns"):
        worker = _start(contestant, threads)
        said = _read(worker)
        for _ in ("warming up", "the turn"):
            if "error" not in said:
                said = _ask(worker)
        worker.stdin.close()
        worker.wait()
        last[contestant.name] = said
        if "error" not in said:
            rates[contestant.name].append(said["items"] / said["seconds"])
    return [_result(contestant, last[contestant.name], rates[contestant.name]) for contestant in contestants]


def report(
    stage: str, collection: str, results: list[dict], contestants: list[Contestant], **facts: object
) -> dict:
    """Return what --json writes: ours, peers, and the ratio of ours to the fastest peer with the same result."""
    by_name = {contestant.name: contestant for contestant in contestants}
    ours = next((r for r in results if by_name[r["name"]].ours), results[0])
    peers = [r for r in results if not by_name[r["name"]].ours and by_name[r["name"]].rival and "rate" in r]
    fastest = max(peers, key=lambda r: r["rate"], default=None)
    return {
        "stage": stage,
        "collection": collection,
        "ours": ours,
        "peers": [r for r in results if r is not ours],
        "ratio": round(ours["rate"] / fastest["rate"], 2) if fastest else None,
        "fastest_peer": fastest and fastest["name"],
        **facts,
        "machine": {"processor": _processor(), "processors": os.cpu_count(), "system": platform.platform()},
        "made": provenance(),
    }


def _start(contestant: Contestant, threads: int) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **contestant.environment}
    command = [
        sys.executable,
        "-m",
        "repro.benchmarks.contest",
        contestant.function,
        json.dumps(contestant.settings),
    ]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def _ask(worker: subprocess.Popen) -> dict:
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return _read(worker)


def _read(worker: subprocess.Popen) -> dict:
    for line in worker.stdout:
        if line.startswith("{"):
            return json.loads(line)
    return {"error": f"ended with exit code {worker.wait()}"}


def _result(contestant: Contestant, said: dict, rates: list[float]) -> dict:
    result = {"name": contestant.name, "settings": contestant.settings}
    if not rates:
        return {**result, "error": said.get("error", "not run")}
    return {
        **result,
        "rate": round(statistics.median(rates), 2),
        "rates": [round(rate, 2) for rate in rates],
        "peak_memory_mb": said["peak_memory_mb"],
        **({"figures": said["figures"]} if said["figures"] else {}),
    }


def _processor() -> str:
    """Return the processor's name and those of its units that matter here."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    name = next(
        (line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), ""
    )
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    units = [
        u for u in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if u in flags
    ]
    return f"{name or platform.machine()} ({', '.join(units)})"


def _turns(work: object) -> Iterator[dict]:
    for _ in sys.stdin:
        started = time.perf_counter()
        done = work()
        seconds = time.perf_counter() - started
        items, figures = done if isinstance(done, tuple) else (done, {})
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds = figures.pop("seconds", seconds)
        yield {"items": items, "seconds": seconds, "peak_memory_mb": round(memory), "figures": figures}


def main() -> int:
    """Be one contestant: load, say so, then do the work once for each line on stdin."""
    module, function = sys.argv[1].split(":")
    say = lambda what: print(json.dumps(what), flush=True)
    try:
        work = getattr(importlib.import_module(f"repro.benchmarks.{module}"), function)(
            **json.loads(sys.argv[2])
        )
    except Exception as error:  # noqa: BLE001  (a peer that cannot load is a result; its libraries raise what they like)
        say({"error": str(error).strip().splitlines()[0]})
        return 1
    say({"ready": True})
    for turn in _turns(work):
        say(turn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
