"""Artifacts: what a stage makes, written under a temporary name, put in place when whole, described by a manifest.

A manifest's ``inputs`` are all that the artifact depends on. An artifact is current when its manifest's inputs equal
the inputs asked for now; then it is reused, else made anew. The rest of the manifest (command, versions, machine,
counts, seconds) is for the reader and decides nothing.

Beside an artifact called ``name`` may lie

    name.manifest.json          what vouches for it, in place last of all
    name.lock                   while a process makes or reads it (``locks``)
    name.partial-<process>      what is being made, or what a killed process left of it,
    name.partial-<process>.json with its inputs and the pieces that are finished
    name.commit.json            a manifest on its way: the new artifact is whole, though it may not be in its place yet
    name.replaced               the old one, until the new one is in its place

Killed at any moment, the next process finds the old artifact, or finishes what ``commit.json`` says, or goes on from the
finished pieces. What a manifest vouches for has been flushed to the disk before.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.locks import locked
from repro.artifacts.provenance import provenance
from repro.base.errors import InputError
from repro.base.files import canonical, flush, read_json, remove, sha256_file, write_json


@dataclass(frozen=True)
class Artifact:
    """A folder, or a single file (a run), with the inputs that it is made from."""

    path: Path
    inputs: dict[str, Any]
    single_file: bool = False

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies: beside the artifact, since Anserini would index any file inside as documents."""
        return self._beside("manifest.json")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the inputs; what is made from this artifact has it among its own inputs."""
        return hashlib.sha256(canonical(self.inputs).encode()).hexdigest()

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of what lies at ``path``, current or not; None if nothing whole does."""
        manifest = read_json(self.manifest_path) if self.path.exists() else None
        return manifest if manifest is not None and isinstance(manifest.get("inputs"), dict) else None

    def is_current(self) -> bool:
        """Tell whether what lies at ``path`` is whole and was made from just these inputs."""
        manifest = self.manifest()
        if manifest is None or canonical(manifest["inputs"]) != canonical(self.inputs):
            return False
        return not self.single_file or manifest.get("sha256") == sha256_file(self.path)

    @contextlib.contextmanager
    def making(self, wait: bool = True) -> Iterator[None]:
        """Be the one process that makes this artifact, once no other makes or reads it; ask ``is_current`` inside.

        Without ``wait``, InputError if another process has it.
        """
        with locked(self._beside("lock"), wait=wait):
            self._put_in_place()  # what a killed process had finished
            yield

    @contextlib.contextmanager
    def reading(self, wait: bool = True) -> Iterator[None]:
        """Keep others from replacing this artifact meanwhile; ask ``is_current`` inside."""
        with locked(self._beside("lock"), shared=True, wait=wait):
            yield

    def begin(self, resume: bool = False) -> Path:
        """Return a temporary path to write to, a new folder unless this is a file; ``finish`` puts it in place.

        To be called by who is ``making`` it. With ``resume``, what a killed process left of a folder with the same
        inputs is taken over, for its finished pieces.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._beside(f"partial-{os.getpid()}")
        for left in sorted(self.path.parent.glob(f"{_escaped(self.path.name)}.partial-*")):
            if left.suffix == ".json" or left == partial:
                continue
            begun = read_json(_pieces_path(left)) or {}
            same = canonical(begun.get("inputs")) == canonical(self.inputs)
            if resume and same and not partial.exists() and left.is_dir():
                os.replace(left, partial)
                os.replace(_pieces_path(left), _pieces_path(partial))
        begun = read_json(_pieces_path(partial)) or {}
        if not (resume and partial.exists() and canonical(begun.get("inputs")) == canonical(self.inputs)):
            remove(partial)
            write_json(_pieces_path(partial), {"inputs": self.inputs, "pieces": None})
        self._remove_left(keep=partial)
        if not self.single_file:
            partial.mkdir(exist_ok=True)
        return partial

    def pieces(self, partial: Path) -> Any:
        """Return what ``save_pieces`` kept of ``partial``, which ``begin`` returned; None if nothing."""
        return (read_json(_pieces_path(partial)) or {}).get("pieces")

    def save_pieces(self, partial: Path, pieces: Any) -> None:
        """Keep a description (JSON) of the finished pieces of ``partial``, which must be on the disk by now."""
        write_json(_pieces_path(partial), {"inputs": self.inputs, "pieces": pieces})

    def finish(self, partial: Path, **facts: Any) -> dict[str, Any]:
        """Put ``partial`` in its place with a manifest of its inputs and ``facts``; return the manifest."""
        manifest = {"inputs": self.inputs, **facts, "made": provenance()}
        flush(partial)
        if self.single_file:
            manifest["sha256"] = sha256_file(partial)
        write_json(self._beside("commit.json"), {"partial": partial.name, "manifest": manifest})
        self._put_in_place()
        return manifest

    def _put_in_place(self) -> None:
        """Do what ``commit.json`` says, if there is one: each step may have been done by a process that was killed."""
        committed = read_json(self._beside("commit.json"))
        if committed is None or not {"partial", "manifest"} <= committed.keys():
            return
        partial, replaced = self.path.with_name(committed["partial"]), self._beside("replaced")
        if partial.exists():
            self.manifest_path.unlink(missing_ok=True)  # from here on it would vouch for something else
            if self.path.is_dir() or self.path.is_symlink():
                remove(replaced)
                os.replace(self.path, replaced)
            os.replace(partial, self.path)
            flush(self.path.parent, below=False)
        write_json(self.manifest_path, committed["manifest"])
        self._beside("commit.json").unlink()
        remove(replaced)
        self._remove_left()

    def _remove_left(self, keep: Path | None = None) -> None:
        """Remove what killed processes left of earlier attempts; nobody works on them, since this process has the lock."""
        for left in self.path.parent.glob(f"{_escaped(self.path.name)}.partial-*"):
            if keep is None or left not in (keep, _pieces_path(keep)):
                remove(left)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")


def refuse_other_settings(artifact: Artifact, force: bool, made_by: str) -> None:
    """Raise InputError if finished work of other settings would be replaced and that was not asked for (``force``)."""
    if not force and artifact.manifest() is not None and not artifact.is_current():
        raise InputError(
            f"{artifact.path} was made by {made_by} with other settings or data; name another --output, "
            "or replace it with --force"
        )


def refuse_foreign(output: Path | None) -> None:
    """Raise InputError for an --output that was not made here: replacing it would remove what is in it."""
    if output is None:
        return
    made = output.absolute().with_name(f"{output.absolute().name}.manifest.json").is_file()
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not made):
        raise InputError(f"--output {output}: it exists and was not made here; name a new folder")


def _pieces_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _escaped(name: str) -> str:
    """Return a file name so that ``glob`` takes it as it is."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
