"""What something is made from (artifacts, models, data), kept as it is meanwhile."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.models.systems import System
from repro.models.weights import Weights, resolve


@contextlib.contextmanager
def held(artifact: Artifact, command: str, system: System, wait: bool) -> Iterator[Artifact]:
    """Keep a current artifact of ``system`` from being replaced.

    InputError, which names the ``command`` that makes it, if it is not current.
    """
    with artifact.reading(wait):
        if not artifact.is_current():
            reason = artifact.why_unreadable() or "is missing or was made from something else"
            raise InputError(
                f"{artifact.path} {reason}; run first: python -m {command} --collection ... "
                f"--system {shlex.quote(system.spec)} (same options)"
            )
        yield artifact


@contextlib.contextmanager
def unchanged(path: Path | None, wait: bool) -> Iterator[None]:
    """Keep other processes from replacing what lies at ``path``, if that is an artifact of this package.

    Without ``wait``, InputError if one is just making it.
    """
    artifact = Artifact(path, {}) if path else None
    if (
        artifact and artifact.manifest() and os.access(artifact.path.parent, os.W_OK)
    ):  # else nobody replaces it
        with artifact.reading(wait):
            yield
    else:
        yield


@contextlib.contextmanager
def weights_of(system: System, wait: bool) -> Iterator[Weights]:
    """Find the weights of ``system`` and keep them from being replaced; NoWeights if there are none."""
    with unchanged(system.local, wait):
        yield resolve(system)
