"""Locks between processes: one maker or many readers, a name for who holds it, gone with its process."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import REPOSITORY

from repro.base.errors import InputError
from repro.base.locks import locked


def test_a_maker_keeps_all_others_out_and_the_refusal_names_it(tmp_path):
    path = tmp_path / "index.lock"
    for shared in (False, True):
        with (
            locked(path),
            pytest.raises(
                InputError, match=f"index is in use by process {os.getpid()} on .*, since 2.*--no-wait"
            ),
            locked(path, shared=shared, wait=False),
        ):
            pass
    assert not path.exists()


def test_readers_share_and_keep_makers_out(tmp_path):
    path = tmp_path / "index.lock"
    with locked(path, shared=True), locked(path, shared=True, wait=False):
        with pytest.raises(InputError, match="in use by another process"), locked(path, wait=False):
            pass
        assert path.exists()
    assert not path.exists()
    with locked(path, wait=False):
        pass


def test_who_waits_is_told_for_whom_and_goes_on_when_it_is_free(tmp_path, capsys):
    path, order = tmp_path / "index.lock", []

    def second():
        with locked(path):
            order.append("second")

    with locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        while "waiting for" not in capsys.readouterr().err:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"] and not path.exists()


def test_processes_that_lock_release_and_remove_never_meet_inside(tmp_path):
    """Each reads a number, and writes it back one higher; what two of them did at once would be lost."""
    number = tmp_path / "number"
    number.write_text("0")
    code = (
        "import sys; from pathlib import Path; from repro.base.locks import locked\n"
        "number = Path(sys.argv[1])\n"
        "for _ in range(200):\n"
        "    with locked(number.with_name('number.lock')):\n"
        "        number.write_text(str(int(number.read_text()) + 1))\n"
    )
    command = [sys.executable, "-c", code, str(number)]
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(
            lambda _: subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False), range(4)
        )
        assert [process.returncode for process in done] == [0] * 4
    assert number.read_text() == "800" and not (tmp_path / "number.lock").exists()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "index.lock"
    code = "import os, sys; from pathlib import Path; from repro.base.locks import locked\n"
    code += "with locked(Path(sys.argv[1])): os._exit(9)"
    command = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 9
    assert path.exists()
    with locked(path, wait=False):
        pass
    assert not path.exists()


def test_a_file_system_without_locks_is_a_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="keeps no locks"), locked(tmp_path / "index.lock"):
        pass
