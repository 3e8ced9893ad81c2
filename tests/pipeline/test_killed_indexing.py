"""kill -9 in the middle of indexing: what is half-built is never taken for whole, and the next run ends with all of it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY, refused, succeed

from repro.formats.runs import read_run

STAGE = ["--collection", "sample", "--system"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    succeed("repro.table", "--systems", "splade-tiny,bm25", cwd=folder)
    return folder


@pytest.mark.parametrize("system", ["splade-tiny", "bm25"])
@pytest.mark.parametrize("delay", [0.0, 0.6, 1.0])
def test_killed_at_any_moment(folder, system, delay):
    run = folder / "runs" / f"run.sample.{system}.trec"
    whole = read_run(run)
    index = folder / succeed("repro.index", *STAGE, system, cwd=folder).strip()
    partial = index.with_name(f"{index.name}.partial")
    (index.with_name(f"{index.name}.manifest.json")).unlink()  # as if it had never been built
    command = [sys.executable, "-m", "repro.index", *STAGE, system]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    while not partial.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not index.with_name(f"{index.name}.manifest.json").exists():
        assert "missing or was made from something else" in refused(
            "repro.search", *STAGE, system, "--force", cwd=folder
        )
    succeed("repro.index", *STAGE, system, cwd=folder)
    succeed("repro.search", *STAGE, system, "--force", cwd=folder)
    assert read_run(run) == whole
    assert not partial.exists()
