"""The energy that a machine's processors took, by RAPL's counters, where Linux shows them.

The counters are the machine's: what else runs on it counts, too. They are read from /sys in a few lines, and
not by tirex-tracker, which needs IPython, or codecarbon, which needs some sixteen packages and estimates what
it cannot read.
"""

import threading
from pathlib import Path
from types import TracebackType

Energy = dict[str, float | str]
"""``joules``, or, as ``unread``, why they are not known: as it stands in manifests."""
UNRECORDED: Energy = {"unread": "made by a version that did not record it"}
POWERCAP = Path("/sys/class/powercap")
INTERVAL = 30.0
"""Seconds between two readings: after some minutes, at the earliest, the counters begin anew."""


class EnergyMeter:
    """Adds up what the counters of all processor packages, and of their memory, count inside a ``with``."""

    def __init__(self) -> None:
        self._counters = sorted(
            filter(_is_counted, POWERCAP.glob("intel-rapl:*"))
        )  # AMD's are called so, too
        self._unread = "" if self._counters else f"no RAPL counters in {POWERCAP}"
        self._before: list[int] = []
        self._microjoules = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read_at_intervals, daemon=True)

    def __enter__(self) -> "EnergyMeter":
        self._read()
        if not self._unread:
            self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._read()
        self._ended.set()

    def record(self) -> Energy:
        """Return what was counted so far."""
        self._read()
        return {"unread": self._unread} if self._unread else {"joules": round(self._microjoules / 1e6, 3)}

    def _read_at_intervals(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._read()

    def _read(self) -> None:
        with self._lock:
            if self._unread:
                return
            try:
                now = [int((counter / "energy_uj").read_text()) for counter in self._counters]
                for counter, before, after in zip(self._counters, self._before, now):
                    begun_anew = int((counter / "max_energy_range_uj").read_text()) if after < before else 0
                    self._microjoules += after - before + begun_anew
            except (OSError, ValueError) as error:  # by default only root may read them
                self._unread = f"{self._counters[0]}: {getattr(error, 'strerror', None) or error}"
                return
            self._before = now


def add(one: Energy, other: Energy) -> Energy:
    """Return the energy of both; it is not known if that of one is not."""
    for record in (one, other):
        if "joules" not in record:
            return record
    return {"joules": round(float(one["joules"]) + float(other["joules"]), 3)}


def _is_counted(counter: Path) -> bool:
    """Tell whether it is a package's, or its memory's, which that does not have in it; cores are in it."""
    try:
        name = (counter / "name").read_text().strip()
    except OSError:
        return False
    return name.startswith("package") or name == "dram"
