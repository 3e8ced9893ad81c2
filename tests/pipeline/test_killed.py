"""kill -9 at random moments of each stage: the same command, run again, ends with an undisturbed run's bytes.

REPRO_KILLS sets the number of moments of each stage. Every other moment is a time; the others are operations
on files, so that the short steps between whole and in place are met, too.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir
from stages import STAGES, all_made, differences

from repro.formats import flat_vectors

KILLS = int(os.environ.get("REPRO_KILLS", "1"))
LEFT = (".partial", ".replaced", ".commit", ".new", ".texts")
KILLED_BY_OPERATION = """
import atexit, itertools, os, signal, sys
counter, moment = itertools.count(1), int(os.environ["MOMENT"])
KINDS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink"}
def hook(event, arguments):
    path = str(arguments[0] if arguments else "").removeprefix(os.getcwd() + "/")
    ours = event in KINDS and path.startswith(("work/", "runs/", "tables/"))
    if ours and next(counter) == moment:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
@atexit.register
def tell():
    print("OPERATIONS", next(counter) - 1)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which nothing was disturbed."""
    return all_made(tmp_path_factory)


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    """A folder whose sitecustomize kills its process before the MOMENT-th operation on its files."""
    folder = tmp_path_factory.mktemp("hook")
    (folder / "sitecustomize.py").write_text(KILLED_BY_OPERATION)
    return folder


def measured(stage, folder: Path, hook: Path) -> tuple[float, int]:
    """Run a stage undisturbed; return its seconds and its operations on files."""
    started = time.monotonic()
    process = stage.start(folder, PYTHONPATH=f"{hook}:{REPOSITORY}", MOMENT="0")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return time.monotonic() - started, int(printed.split("OPERATIONS ")[-1].split()[0])


@pytest.mark.parametrize("name", STAGES)
def test_killed_at_random_moments(whole, hook, tmp_path, name):
    stage, rng = STAGES[name], random.Random(f"{name} {KILLS}")
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder, symlinks=True)
    stage.undo(folder)
    seconds, operations = measured(stage, folder, hook)
    for number in range(KILLS):
        replacing = number % 4 > 1 and name != "table"  # half of them replace what is whole
        options = ["--force"] if replacing else []
        if not replacing:
            stage.undo(folder)
        if number % 2 == 0:
            moment = rng.randint(1, operations)
            process = stage.start(folder, *options, PYTHONPATH=f"{hook}:{REPOSITORY}", MOMENT=str(moment))
            assert process.wait() == -signal.SIGKILL, process.communicate()
        else:
            moment = f"{rng.uniform(0, seconds):.3f} s"
            process = stage.start(folder, *options)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(float(moment.split()[0]))
            process.kill()
        process.communicate()
        stage.finish(folder, *options)
        assert differences(stage, folder, whole) == [], f"killed at {moment}"
        files = [path.name for part in ("work", "runs") for path in (folder / part).rglob("*")]
        assert not [name for name in files if any(part in name for part in LEFT)], f"killed at {moment}"


def test_killed_before_it_is_put_in_place_and_resumed_with_shards_of_another_size(tmp_path):
    """Where the list of shards was removed first, the second run added its own to them: documents twice."""
    write_beir(tmp_path / "tiny")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, repro.artifacts.store as store\n"
        "store.Artifact.finish = lambda *arguments, **facts: os.kill(os.getpid(), 9)\n"
    )
    command = ["repro.encode", "--collection", "tiny", "--system", "splade-tiny", "--only", "documents"]
    killed = run(*command, "--shard-size", "2", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert killed.returncode == -signal.SIGKILL
    (partial,) = (tmp_path / "work/encoded/tiny").glob("splade-tiny.partial-*[0-9]")
    (partial / "part-00003.jsonl.gz").write_bytes(
        (partial / "part-00000.jsonl.gz").read_bytes()
    )  # not listed
    succeed(*command, "--shard-size", "5", cwd=tmp_path, by=run_here)
    encoded = tmp_path / "work/encoded/tiny/splade-tiny"
    assert sorted(path.name for path in encoded.iterdir()) == [f"part-0000{i}.jsonl.gz" for i in range(3)]
    succeed("repro.index", "--collection", "tiny", "--system", "splade-tiny", cwd=tmp_path, by=run_here)


@pytest.mark.parametrize("system", ["splade-tiny", "all-minilm-l6-v2"])
def test_an_index_of_other_than_the_promised_documents_is_refused(whole, tmp_path, system):
    """A shard of the encoded documents is gone: the index would lack them, and count as current for ever."""
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder, symlinks=True)
    encoded = folder / f"work/encoded/tiny/{system}"
    if system == "splade-tiny":
        (encoded / "part-00001.jsonl.gz").unlink()
    else:
        assert flat_vectors.keep(encoded, 4)
    command = ["repro.index", "--collection", "tiny", "--system", system, "--force"]
    sentence = refused(*command, cwd=folder, by=run_here if system == "splade-tiny" else run)
    assert "4 of 6 documents" in sentence
