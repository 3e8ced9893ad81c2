"""The models that recipes have trained on a collection, found by their manifests."""

from pathlib import Path

from repro.base.files import read_json
from repro.cli.options import CollectionOptions

DEFAULT_SPLIT = "test"


def trained_on(options: CollectionOptions, work: Path) -> list[str]:
    """Return the systems in ``work`` that were trained on this collection, though not on the very split that is measured."""
    systems = []
    for path in sorted((work / "trained").glob("*.manifest.json")):
        model = path.with_name(path.name.removesuffix(".manifest.json"))
        inputs = (read_json(path) or {}).get("inputs") or {}
        data = inputs.get("recipe", {}).get("data", {}) if isinstance(inputs, dict) else {}
        if not model.is_dir() or not data.get("collection"):
            continue
        same = _place(data["collection"]) == _place(options.collection)
        if same and (data.get("split") or DEFAULT_SPLIT) != (options.split or DEFAULT_SPLIT):
            systems.append(f"splade:{model}")
    return systems


def _place(collection: str) -> str:
    """Return a folder's full path, however it is written, and any other name as it is."""
    return str(Path(collection).resolve()) if Path(collection).is_dir() else collection
