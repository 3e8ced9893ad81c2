"""The one door through which a stage is started as a process of its own.

torch and FAISS, which both bring an OpenMP runtime, never share a process, and memory is given back between
stages, so ``table`` and others run stages as commands. A stage is described by its module and its options,
the very values that this process works with.
"""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.base.errors import InputError
from repro.cli.parsing import arguments

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Stage:
    """A command of this package with its arguments, e.g. ``repro.encode --system splade-tiny``."""

    module: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(["python", "-m", self.module, *self.arguments])

    @property
    def command(self) -> list[str]:
        """The command line of a process of its own."""
        return [sys.executable, "-m", self.module, *self.arguments]

    def run(self) -> str:
        """Run it and return what it prints (its progress goes to stderr).

        StageFailed if it fails, StageKilled if another process, or the system, killed it.
        """
        done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode < 0:
            raise StageKilled(f"{self.module} was killed by signal {-done.returncode}")
        if done.returncode != 0:
            raise StageFailed(f"{self.module} ended with exit code {done.returncode} (see above)")
        return done.stdout.strip()


class StageFailed(InputError):
    """A stage that was started here ended with an error, which it has told on stderr."""


class StageKilled(StageFailed):
    """A stage that was started here was killed, and may succeed if it runs again."""


def stage(module: str, *options: "DataclassInstance | str") -> Stage:
    """Return the stage ``module`` with the command line of groups of options, and of strings as they are."""
    line: list[str] = []
    for part in options:
        line += [part] if isinstance(part, str) else arguments(part)
    return Stage(module, tuple(line))
