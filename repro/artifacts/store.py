"""Artifacts: what a stage makes, written under a temporary name, renamed when whole, and described by a manifest.

A manifest's ``inputs`` are all that the artifact depends on. An artifact is current when its manifest's inputs equal
the inputs asked for now; then it is reused, else made anew. The rest of the manifest (command, versions, machine,
counts, seconds) is for the reader and decides nothing.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.provenance import provenance
from repro.base.files import canonical, read_json, remove, sha256_file, write_json


@dataclass(frozen=True)
class Artifact:
    """A folder, or a single file (a run), with the inputs that it is made from."""

    path: Path
    inputs: dict
    single_file: bool = False

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies: beside the artifact, since Anserini would index any file inside as documents."""
        return self.path.with_name(self.path.name + ".manifest.json")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the inputs; what is made from this artifact has it among its own inputs."""
        return hashlib.sha256(canonical(self.inputs).encode()).hexdigest()

    def manifest(self) -> dict | None:
        """Return the manifest of what lies at ``path``, current or not; None if nothing whole does."""
        return read_json(self.manifest_path) if self.path.exists() else None

    def is_current(self) -> bool:
        """Tell whether what lies at ``path`` is whole and was made from just these inputs."""
        manifest = self.manifest()
        if manifest is None or canonical(manifest["inputs"]) != canonical(self.inputs):
            return False
        return not self.single_file or manifest["sha256"] == sha256_file(self.path)

    def begin(self, resume: bool = False) -> Path:
        """Return a temporary path to write to, a new folder unless this is a file; ``finish`` puts it in place.

        With ``resume``, a partial folder that was begun from the same inputs is kept for its finished pieces.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial, begun = self._beside("partial"), self._beside("partial.json")
        if not resume or canonical(read_json(begun)) != canonical(self.inputs):
            remove(partial)
        write_json(begun, self.inputs)
        if not self.single_file:
            partial.mkdir(exist_ok=True)
        return partial

    def finish(self, partial: Path, **facts: object) -> dict:
        """Put ``partial`` in its place with a manifest of its inputs and ``facts``; return the manifest.

        The old manifest goes first and the new one comes last: killed in between, the artifact counts as missing.
        """
        manifest = {"inputs": self.inputs, **facts, "made": provenance()}
        if self.single_file:
            manifest["sha256"] = sha256_file(partial)
        self.manifest_path.unlink(missing_ok=True)
        remove(self.path)
        os.replace(partial, self.path)
        write_json(self.manifest_path, manifest)
        self._beside("partial.json").unlink()
        return manifest

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")
