"""How long a model took to make, by the clock; kept beside it, for when it is reused."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from repro.base.files import read_json, sha256_file, write_json
from repro.cli.stages import Stage


@dataclass(frozen=True)
class WallTime:
    """The seconds of the stage that made a model. ``with_data``: its training data were made in them, too."""

    seconds: float
    with_data: bool


def run_timed(stage: Stage, model: Path, distilled: Path) -> WallTime | None:
    """Run the stage that makes ``model`` unless it is there; return how long that took when it was made.

    ``distilled`` is the folder of all training data. None if nobody knows: it was made otherwise, or in
    several attempts. ``<model>.seconds.json`` has the time, and the checksum of the manifest whose it is.
    """
    place, manifest = (model.with_name(f"{model.name}.{what}.json") for what in ("seconds", "manifest"))
    place.parent.mkdir(parents=True, exist_ok=True)
    known = read_json(place) or {}
    made, data = _checksum(manifest), _manifests(distilled)
    in_parts = "begun" in known or model.with_name(f"{model.name}.checkpoints").exists()
    data_in_parts = any(distilled.glob("*.partial-*"))
    write_json(place, known | {"begun": True})  # stays there if this process is killed, or the stage fails
    started = time.perf_counter()
    stage.run()
    seconds = time.perf_counter() - started
    if _checksum(manifest) == made:
        wall = _of(known, made)
    elif in_parts:
        wall = None
    else:
        wall = WallTime(round(seconds, 1), with_data=_manifests(distilled) != data and not data_in_parts)
    write_json(place, {"manifest": _checksum(manifest), **(asdict(wall) if wall else {})})
    return wall


def _of(known: dict, manifest: str | None) -> WallTime | None:
    match known:
        case {"manifest": str(of), "seconds": float(seconds), "with_data": bool(data)} if of == manifest:
            return WallTime(seconds, data)
    return None


def _checksum(manifest: Path) -> str | None:
    return sha256_file(manifest) if manifest.is_file() else None


def _manifests(distilled: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in distilled.glob("*.manifest.json")}
