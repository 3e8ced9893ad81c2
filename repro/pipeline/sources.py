"""What a training or a distillation starts from (base, teacher, data, runs), kept as it is meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.models.systems import System
from repro.models.weights import Weights, resolve


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
