"""Progress: a bar with a rate on a terminal, silence elsewhere."""

import os
import pty
import subprocess
import sys
import termios

from conftest import REPOSITORY

CODE = "from repro.base.progress import track; list(track(range(3), 3, 'encoding', 'documents'))"


def test_bar_on_a_terminal():
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 120))
    subprocess.run([sys.executable, "-c", CODE], stderr=slave, cwd=REPOSITORY, check=True)
    os.close(slave)
    output = os.read(master, 65536).decode()
    assert "encoding: 100%" in output and "3/3" in output and "documents/s" in output


def test_nothing_when_stderr_is_no_terminal():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stderr == done.stdout == ""
