"""Rates that earlier commands have measured on this machine, by the manifests of what they made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.machine import hardware
from repro.base.files import read_json
from repro.compiled.native import choose
from repro.forecast.steps import DOCUMENTS
from repro.models.systems import System
from repro.models.weights import Weights
from repro.pipeline.searching import LUCENE, scorer_of

ENOUGH = 1000
"""Texts, or queries, from which on a manifest's rate counts for more than a calibration's."""


@dataclass(frozen=True)
class Earlier:
    """Seconds an item, measured on so many."""

    seconds: float
    items: int


def encoded_earlier(
    work: Path, part: str, system: System, weights: Weights, threads: int, precision: str, corpus: str | None
) -> Earlier | None:
    """Return what encoding a part with the same weights took here, by the manifest of the most texts.

    ``corpus`` is the one whose texts count alone; None if those of any do, as where its own are not here.
    """
    name = system.indexed.name if part == DOCUMENTS else f"{system.name}.*queries"
    found, chosen = [], choose().kernels
    level = chosen.level if chosen else "none"
    unstated = "exact" if system.kind == "dense" else precision  # dense ones had no other once
    for manifest in _manifests(work / "encoded" / (corpus or "*"), name):
        match manifest:
            case {
                "threads": int(used),
                "seconds": float(seconds),
                "weights": {"sha256": str(sha256)},
                "counts": {"texts": int(texts)},
                "settings": dict(settings),
            } if (
                used == threads
                and sha256 == weights.sha256
                and settings.get("precision", unstated) == precision
                # "none": also of a dense model that is computed by its library alone
                and settings.get("kernels", level) in {level, "none" if system.kind == "dense" else level}
                and manifest.get("shares", 1) == 1  # else other machines' seconds are among these
            ):
                found.append((texts, seconds))
    return _most(found)


def searched_earlier(of: SystemArtifacts, threads: int) -> Earlier | None:
    """Return what searching the very same index took here with other queries, by the run of the most."""
    search, scorer, found = of.options.search, scorer_of(of), []
    for manifest in _manifests(of.runs, f"run.*.{of.system.name}.trec"):
        match manifest:
            case {
                "threads": int(used),
                "seconds": float(seconds),
                "inputs": {"index": str(index), "hits": int(hits), **others},
                "counts": {"queries": int(queries)},
            } if (
                used == threads
                and (index, hits) == (of.index.fingerprint, search.hits)
                and others.get("max_query_terms") == search.max_query_terms
                and manifest.get("scorer", LUCENE) == scorer
            ):
                found.append((queries, seconds))
    return _most(found)


def _manifests(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the manifests in a folder (or several, by a pattern) that this machine has written."""
    here = hardware()
    for path in sorted(folder.parent.glob(f"{folder.name}/{name}.manifest.json")):
        manifest = read_json(path) or {}
        match manifest:
            case {"made": {"hardware": dict(machine)}} if machine == here:
                yield manifest


def _most(found: Iterable[tuple[int, float]]) -> Earlier | None:
    items, seconds = max(found, default=(0, 0.0))
    return Earlier(seconds / items, items) if items >= ENOUGH and seconds > 0 else None
