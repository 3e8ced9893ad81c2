"""The models that recipes have trained on a collection, found by their manifests."""

from pathlib import Path
from typing import Any

from repro.base.files import read_json
from repro.cli.options import CollectionOptions
from repro.models.router import CONFIG

DEFAULT_SPLIT = "test"


def trained_on(options: CollectionOptions, work: Path) -> list[str]:
    """Return those models in ``<work>/trained`` that a collection's table shows, as ``--system`` takes them.

    They were trained on the collection, though not on the very split that is measured.
    """
    systems = []
    for path in sorted((work / "trained").glob("*.manifest.json")):
        model = path.with_name(path.name.removesuffix(".manifest.json"))
        data = _data(path)
        place, split = data.get("collection"), data.get("split") or DEFAULT_SPLIT
        if not model.is_dir() or not isinstance(place, str):
            continue
        if _resolved(place) == _resolved(options.collection) and split != (options.split or DEFAULT_SPLIT):
            systems.append(f"{'splade-doc' if (model / CONFIG).is_file() else 'splade'}:{model}")
    return systems


def _data(manifest: Path) -> dict[str, Any]:
    """Return what a recipe's manifest says of its data; nothing if it is of another kind, or damaged."""
    found: Any = read_json(manifest)
    for key in ("inputs", "recipe", "data"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _resolved(collection: str) -> str:
    """Return a folder's full path, however it is written, links followed; any other name as it is."""
    return str(Path(collection).resolve()) if Path(collection).is_dir() else collection
