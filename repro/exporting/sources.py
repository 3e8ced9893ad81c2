"""What is exported must be there and current, and stays as it is meanwhile."""

import contextlib

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.cli.options import WorkOptions


def current_index(of: SystemArtifacts, work: WorkOptions, locks: contextlib.ExitStack) -> Artifact:
    """Return the system's index of impacts, locked for reading by ``locks``.

    InputError if the system has none, or if it is missing or outdated.
    """
    if of.engine.combines or not of.engine.encodes or of.system.kind == "dense":
        raise InputError(f"--system {of.system.name}: only SPLADE systems have an index of impacts")
    return held(of.index, "repro.index", of, work, locks)


def held(
    artifact: Artifact, command: str, of: SystemArtifacts, work: WorkOptions, locks: contextlib.ExitStack
) -> Artifact:
    """Return ``artifact``, locked for reading; InputError, which names ``command``, if it is not current."""
    locks.enter_context(artifact.reading(work.wait))
    if not artifact.is_current():
        reason = artifact.why_unreadable() or "is missing or was made from something else"
        raise InputError(
            f"{artifact.path} {reason}; run first: python -m {command} --collection ... "
            f"--system {of.system.name} (same options)"
        )
    return artifact
