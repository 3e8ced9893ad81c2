"""One contestant's process: it loads, says so, and does its work once for each line on stdin.

    python -m repro.benchmarks.worker MODULE:FUNCTION SETTINGS

``contest`` starts it. FUNCTION takes SETTINGS (a JSON object), loads what it needs and returns the work: a
function that returns the number of items done, alone or with figures of this turn, {column: number}. A figure
called SECONDS or PEAK takes the place of what is measured here: of work that times a part of itself, or that
is done in other processes.
"""

import json
import os
import pkgutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from repro.base.memory import peak_memory
from repro.cli.guard import guarded

Figures = dict[str, float]
Work = Callable[[], int] | Callable[[], tuple[int, Figures]]

SECONDS, PEAK = "seconds", "peak MB"


@dataclass(frozen=True)
class Turn:
    """What was done in one turn, in how many seconds, and the process's peak memory so far, in MB (2^20
    bytes).
    """

    items: int
    seconds: float
    peak_memory_mb: int
    figures: Figures

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


def measure(work: Work) -> Turn:
    """Do the work once."""
    started = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - started
    items, figures = done if isinstance(done, tuple) else (done, {})
    others = {name: value for name, value in figures.items() if name not in (SECONDS, PEAK)}
    peak = figures.get(PEAK) or peak_memory()
    return Turn(items, figures.get(SECONDS, seconds), round(peak), others)


def main() -> int:
    """Be the contestant that the command line names, until stdin ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # what libraries print is not a reply
        work = pkgutil.resolve_name(sys.argv[1])(**json.loads(sys.argv[2]))
        print(json.dumps({"ready": True}), file=replies, flush=True)
        for _ in sys.stdin:
            print(json.dumps(asdict(measure(work))), file=replies, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
