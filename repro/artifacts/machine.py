"""This machine, in the keys of ir_metadata's platform."""

import os
import platform
import struct
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """Return the processor (its model where the system tells it), and the memory in GB of 2^30 bytes."""
    cpu = {
        "model": _processor(),
        "architecture": platform.machine(),
        "operation mode": f"{8 * struct.calcsize('P')}-bit",
        "number of cores": os.cpu_count(),
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {"cpu": {name: value for name, value in cpu.items() if value}, "ram": f"{memory:.1f} GB"}


def operating_system() -> dict[str, str]:
    """Return the kernel and the distribution."""
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):  # no Linux, or one that does not say
        distribution = f"{platform.system()} {platform.release()}"
    return {"kernel": f"{platform.system()} {platform.release()}", "distribution": distribution}


def _processor() -> str | None:
    """Return the processor's model, by /proc/cpuinfo or what Python knows; None if neither tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
