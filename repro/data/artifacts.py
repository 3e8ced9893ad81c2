"""Artifacts: what a stage makes, written under a temporary name, renamed when whole, and described by a manifest.

A manifest's ``inputs`` are all that the artifact depends on. An artifact is current when its manifest's inputs equal
the inputs asked for now; then it is reused, else made anew. The rest of the manifest (command, versions, machine,
counts, seconds) is for the reader and decides nothing.
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import repro

RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "pyserini",
    "faiss-cpu",
    "numpy",
    "ir-measures",
)


def canonical(value: object) -> str:
    """Return JSON that is the same for equal values: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write indented JSON to ``path`` in one atomic step."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> dict | None:
    """Return the JSON object in ``path``; None if there is no such file or it is no whole JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


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


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def folder_bytes(path: Path) -> int:
    """Return the size of all files below ``path``, in bytes."""
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def provenance() -> dict:
    """Return what made an artifact: the command, versions, the machine, the time."""
    versions = {"repro": repro.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", "-m", module.name] if module else [Path(sys.argv[0]).name]
    return {
        "command": " ".join(program + sys.argv[1:]),
        "versions": versions,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
