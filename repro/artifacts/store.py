"""Artifacts: what a stage makes, written under a temporary name, put in place when whole, with a manifest.

A manifest's ``inputs`` are all that the artifact depends on. An artifact is current when its manifest's
inputs equal the inputs asked for now; then it is reused, else made anew. The rest of the manifest (command,
versions, machine, counts, seconds) is for the reader and decides nothing.

Beside an artifact called ``name`` may lie

    name.manifest.json          what vouches for it
    name.lock                   while a process makes or reads it (``locks``)
    name.partial-<process>      what is being made, or what a killed process left of it,
    name.partial-<process>.json with its inputs and the pieces that are finished
    name.commit.json            a manifest on its way: the new artifact is whole, if not yet in its place
    name.replaced               the old one, until the new one is in its place

Killed at any moment, the next process finds the old artifact, or finishes what ``commit.json`` says, or goes
on from the finished pieces. What a manifest vouches for has been flushed to the disk before.
"""

import contextlib
import glob
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.provenance import provenance
from repro.base.errors import InputError
from repro.base.files import canonical, flush, read_json, remove, sha256_file, write_json
from repro.base.full_disk import writing
from repro.base.locks import locked


@dataclass(frozen=True)
class Artifact:
    """A folder, or a single file (a run), with the inputs that it is made from.

    ``facts`` are what else its manifest tells; one that lacks any of them vouches for nothing. ``unreadable``
    returns, of a manifest, why what is installed cannot read the artifact, and None if it can.
    """

    path: Path
    inputs: dict[str, Any]
    single_file: bool = False
    facts: tuple[str, ...] = ()
    unreadable: Callable[[dict[str, Any]], str | None] = lambda manifest: None

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies: beside the artifact, since Anserini would index any file inside."""
        return self._beside("manifest.json")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the inputs; what is made from this artifact has it among its own inputs."""
        return hashlib.sha256(canonical(self.inputs).encode()).hexdigest()

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of what lies at ``path``, current or not; None if nothing whole does.

        Nothing does, either, while another is about to take its place.
        """
        if not self.path.exists() or self._commit_path.exists():
            return None
        manifest = read_json(self.manifest_path)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("inputs"), dict):
            return None
        return manifest if all(fact in manifest for fact in self.facts) else None

    def is_current(self) -> bool:
        """Tell whether what lies at ``path`` is whole, made from just these inputs, and can be read."""
        manifest = self.manifest()
        if manifest is None or canonical(manifest["inputs"]) != canonical(self.inputs):
            return False
        if self.unreadable(manifest):
            return False
        if not self.single_file:
            return self.path.is_dir()
        return self.path.is_file() and manifest.get("sha256") == sha256_file(self.path)

    def why_unreadable(self) -> str | None:
        """Return why what lies at ``path`` cannot be read with what is installed; None if it can, or nothing
        does.
        """
        manifest = self.manifest()
        return self.unreadable(manifest) if manifest else None

    @contextlib.contextmanager
    def making(self, wait: bool = True) -> Iterator[None]:
        """Be the one process that makes this artifact, once no other makes or reads it.

        Ask ``is_current`` inside. Without ``wait``, InputError if another process has it. Whatever is raised
        inside because the disk takes no more becomes an OSError that names this artifact.
        """
        with locked(self._beside("lock"), wait=wait), writing(self.path):
            self._put_in_place()  # what a killed process had finished
            yield

    @contextlib.contextmanager
    def reading(self, wait: bool = True) -> Iterator[None]:
        """Keep others from replacing this artifact meanwhile; ask ``is_current`` inside."""
        with locked(self._beside("lock"), shared=True, wait=wait):
            yield

    def begin(self, resume: bool = False) -> Path:
        """Return a temporary path to write to, a new folder unless this is a file; then comes ``finish``.

        To be called by the process that is ``making`` it. With ``resume``, what a killed process left of a
        folder with the same inputs is taken over as it is, for its finished pieces.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._left() if resume else None
        if partial is None:
            partial = self._beside(f"partial-{os.getpid()}")
            self._remove_left()
            self.save_pieces(partial, None)
            if not self.single_file:
                partial.mkdir()
        else:
            self._remove_left(keep=partial)
        return partial

    def pieces(self, partial: Path) -> Any:
        """Return what ``save_pieces`` kept of ``partial``, which ``begin`` returned; None if nothing."""
        begun = read_json(_pieces_path(partial))
        return begun.get("pieces") if isinstance(begun, dict) else None

    def save_pieces(self, partial: Path, pieces: Any) -> None:
        """Keep a description (JSON) of the finished pieces of ``partial``, which are on the disk by now."""
        write_json(_pieces_path(partial), {"inputs": self.inputs, "pieces": pieces})

    def finish(self, partial: Path, **facts: Any) -> dict[str, Any]:
        """Put ``partial`` in its place with a manifest of its inputs and ``facts``; return the manifest."""
        manifest = {"inputs": self.inputs, **facts, "made": provenance()}
        flush(partial)
        if self.single_file:
            manifest["sha256"] = sha256_file(partial)
        write_json(self._commit_path, {"partial": partial.name, "manifest": manifest})
        self._put_in_place()
        return manifest

    def disown(self) -> None:
        """Take the manifest away, so that nothing vouches for what lies at ``path``: what it was made from is
        made anew, perhaps with other roundings of the same inputs. To be called by the process that is
        ``making`` it.
        """
        self.manifest_path.unlink(missing_ok=True)
        flush(self.path.parent, below=False)

    def unfinished(self) -> list[dict[str, Any]]:
        """Return the inputs of what killed processes have left finished pieces of."""
        begun = [read_json(_pieces_path(left)) for left in self._partials() if left.is_dir()]
        whole = [left for left in begun if isinstance(left, dict) and isinstance(left.get("inputs"), dict)]
        return [left["inputs"] for left in whole if left.get("pieces")]

    @property
    def _commit_path(self) -> Path:
        return self._beside("commit.json")

    def _left(self) -> Path | None:
        """Return what a killed process left of a folder with the same inputs; None if none did."""
        for left in self._partials():
            begun = read_json(_pieces_path(left)) if left.is_dir() else None
            if isinstance(begun, dict) and canonical(begun.get("inputs")) == canonical(self.inputs):
                return left
        return None

    def _put_in_place(self) -> None:
        """Do what ``commit.json`` says, if there is one; a process that was killed may have begun with it.

        The manifest goes before the artifact that it vouches for, and comes last: thus a record whose partial
        artifact was removed by hand can be told from one that was carried out up to the manifest.
        """
        if not self._commit_path.exists():
            return
        folder, (partial, manifest) = self.path.parent, self._commit()
        if partial is not None and partial.exists():
            flush(folder, below=False)
            self.manifest_path.unlink(missing_ok=True)
            flush(folder, below=False)
            if not (self.single_file and self.path.is_file()) and os.path.lexists(self.path):
                remove(self._beside("replaced"))
                os.replace(self.path, self._beside("replaced"))
            os.replace(partial, self.path)
            flush(folder, below=False)
        elif self.manifest_path.exists() or not self.path.exists():
            manifest = None  # the partial artifact was removed by hand, or the record is damaged
        remove(self._beside("replaced"))
        self._remove_left()
        if manifest is not None:
            write_json(self.manifest_path, manifest)
            flush(folder, below=False)
        self._commit_path.unlink()

    def _commit(self) -> tuple[Path | None, dict[str, Any] | None]:
        """Return the partial artifact and the manifest that ``commit.json`` names, if it is well formed."""
        match read_json(self._commit_path):
            case {"partial": str(partial), "manifest": {"inputs": dict()} as manifest}:
                if partial.startswith(f"{self.path.name}.partial-") and "/" not in partial:
                    return self.path.with_name(partial), manifest
        return None, None

    def _partials(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.partial-*"))

    def _remove_left(self, keep: Path | None = None) -> None:
        """Remove what killed processes left of earlier attempts: none lives, as this process has the lock."""
        kept = set() if keep is None else {keep, _pieces_path(keep)}
        lists_first = sorted(self._partials(), key=lambda left: left.suffix != ".json")
        for left in lists_first:  # a list of pieces must not outlive one of them
            if left not in kept:
                remove(left)
        for record in (self.manifest_path, self._commit_path):
            for unfinished in record.parent.glob(f"{glob.escape(record.name)}.*.tmp"):  # write_json's
                remove(unfinished)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")


def refuse_other_settings(artifact: Artifact, force: bool, made_by: str) -> None:
    """Raise InputError if work of other settings, finished or in pieces, would be lost without ``force``."""
    if force:
        return
    manifest = artifact.manifest()
    for inputs in [manifest["inputs"]] if manifest else artifact.unfinished():
        if names := ", ".join(differing(inputs, artifact.inputs)):
            raise InputError(
                f"{artifact.path} was {'made' if manifest else 'begun'} by {made_by} with other settings "
                f"({names}); name another --output, or replace it with {made_by} --force"
            )


def differing(inputs: dict[str, Any], others: dict[str, Any], above: str = "") -> list[str]:
    """Return the names of the inputs that are not the same in both, those of an input's parts with a dot."""
    names = []
    for name in sorted(inputs.keys() | others.keys()):
        one, other = inputs.get(name), others.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            names += differing(one, other, f"{above}{name}.")
        elif canonical(one) != canonical(other) or (name in inputs) != (name in others):
            names.append(f"{above}{name}")
    return names


def refuse_foreign(output: Path | None) -> None:
    """Raise InputError for an --output that was not made here: replacing it would remove what is in it."""
    if output is None:
        return
    made = output.absolute().with_name(f"{output.absolute().name}.manifest.json").is_file()
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not made):
        raise InputError(f"--output {output}: it exists and was not made here; name a new folder")


def _pieces_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")
