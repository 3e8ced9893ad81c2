"""Links to a model's files, and a SPLADE model's weights as ``pytorch_model.bin`` beside them.

Pyserini 2 loads SPLADE models from nothing else, while most have safetensors only.

Whatever reads both formats takes the safetensors, and the other file is no part of a model's checksum
(``folder.superseded``).
"""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.base.files import read_json
from repro.models.folder import list_files
from repro.models.router import documents_folder

if TYPE_CHECKING:
    from torch import Tensor

BINARY = "pytorch_model.bin"


def link(source: Path, folder: Path, binary: bool) -> None:
    """Fill the empty ``folder`` with links to what the model in ``source`` reads.

    With ``binary``, its weights are there as PyTorch's file, too: a link, if ``source`` has one of the same
    tensors, or written here. Of an inference-free model that is its masked language model, for documents.
    """
    source = (documents_folder(source) if binary else source).resolve()
    for name in list_files(source):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(source / name)
    if binary and _has_binary(source):
        (folder / BINARY).symlink_to(source / BINARY)
    elif binary:
        write_binary(source, folder)


def write_binary(source: Path, folder: Path) -> None:
    """Write the safetensors of ``source`` into ``folder`` as PyTorch's file, if it has any at its top."""
    import torch

    if weights := _weights(source):
        with open(folder / BINARY, "wb") as file:  # torch's own error for a full disk does not say so
            torch.save(weights, file)


def _has_binary(folder: Path) -> bool:
    """Tell whether PyTorch's file is there beside safetensors, with the same tensors."""
    import torch

    weights = _weights(folder)
    if not weights or not (folder / BINARY).is_file():
        return False
    try:
        found: Any = torch.load(folder / BINARY, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return False
    same = isinstance(found, dict) and found.keys() == weights.keys()
    return same and all(torch.equal(found[name], weight) for name, weight in weights.items())


def _weights(folder: Path) -> "dict[str, Tensor]":
    """Return the tensors of a folder's safetensors, one file or several; none if there are none."""
    from safetensors.torch import load_file

    index = read_json(folder / "model.safetensors.index.json")
    names = sorted(set(index["weight_map"].values())) if index else ["model.safetensors"]
    files = [folder / name for name in names if (folder / name).is_file()]
    return {name: weight for file in files for name, weight in load_file(file).items()}
