"""What made an artifact: the command, versions, the machine, the time. For the reader; it decides nothing."""

import contextlib
import datetime
import importlib.metadata
import platform
import shlex
import sys
from pathlib import Path

import repro
from repro.artifacts.machine import hardware, operating_system

RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "pyserini",
    "faiss-cpu",
    "numpy",
    "ir-measures",
)


def provenance() -> dict:
    """Return what made an artifact: the command, versions, the machine, the time."""
    versions = {"repro": repro.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", "-m", module.name] if module else [Path(sys.argv[0]).name]
    return {
        "command": shlex.join(program + sys.argv[1:]),
        "versions": versions,
        "hardware": hardware(),
        "operating system": operating_system(),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
