"""What a run was made from: its manifest, and by fingerprints those of its index and encoded documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import read_json, sha256_file

ENCODING = ("max_length", "prefix", "scale", "rounded")
"""Inputs of encoded documents that are parameters of the method."""


@dataclass(frozen=True)
class Lineage:
    """The inputs of a run and what made it. ``lucene``'s version and the parameters of the ``encoding`` are
    those of the index and the documents that it was made from, where these are at hand.

    The ``kind`` is its system's; of a manifest that does not tell it the index's, or None. ``parts`` are the
    runs that it combines, as far as they lie beside it.
    """

    run: dict[str, Any]
    made: dict[str, Any]
    system: str | None
    collection: str | None
    weights: dict[str, Any] | None
    kind: str | None
    lucene: str | None
    encoding: dict[str, Any]
    parts: tuple["Lineage", ...]

    def searched(self) -> "list[Lineage]":
        """Return the runs at the bottom of what is combined, which come from indexes; this one if it does."""
        return [run for part in self.parts for run in part.searched()] or [self]


def manifest_path(run: Path) -> Path:
    """Return where a run's manifest lies."""
    return Artifact(run, {}, single_file=True).manifest_path


def read_lineage(run: Path, work: Path) -> Lineage | None:
    """Return what a run was made from; None if no manifest lies beside it.

    InputError if the run is another than its manifest's.
    """
    manifest = read_json(manifest_path(run))
    if manifest is None or not isinstance(manifest.get("inputs"), dict):
        return None
    if manifest.get("sha256") != sha256_file(run):
        raise InputError(
            f"{run} has changed since its manifest was written; make it anew with python -m repro.search"
        )
    return _lineage(manifest, run.parent, work)


def _lineage(manifest: dict[str, Any], runs: Path, work: Path) -> Lineage:
    inputs = manifest["inputs"]
    searched = inputs.get("indexes") or [inputs.get("index")]  # several are encoded alike
    index = _find(searched[0], (work / "indexes").glob("*.manifest.json"))
    documents = _find(index["inputs"].get("encoded"), (work / "encoded").glob("*/*.manifest.json"))
    combined = [_find(run, runs.glob("*.manifest.json")) for run in inputs.get("runs", [])]
    return Lineage(
        run=inputs,
        made=manifest.get("made", {}),
        system=manifest.get("system"),
        collection=manifest.get("collection"),
        weights=_without_paths(manifest.get("weights")),
        kind=manifest.get("kind") or index["inputs"].get("kind"),
        lucene=index.get("written_by", {}).get("lucene"),
        encoding={name: documents["inputs"][name] for name in ENCODING if name in documents["inputs"]},
        parts=tuple(_lineage(part, runs, work) for part in combined if part["inputs"]),
    )


def _find(fingerprint: object, manifests: Iterable[Path]) -> dict[str, Any]:
    """Return the manifest whose inputs have a fingerprint; one without inputs if none of them has."""
    for path in sorted(manifests):
        manifest = read_json(path) or {}
        inputs = manifest.get("inputs")
        if inputs and Artifact(path, inputs).fingerprint == fingerprint:
            return manifest
    return {"inputs": {}}


def _without_paths(weights: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what a manifest says of weights; of a local folder its name, not where it lies."""
    local = "local folder "
    if weights is None or not str(weights.get("source", "")).startswith(local):
        return weights
    return {**weights, "source": local + Path(weights["source"].removeprefix(local)).name}
