"""What a model's folder holds: the files that the model reads, their checksum, and whether they ask for
code.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import sha256_file

NOT_READ = [
    *(".*", "*/.*", "*.md", "LICENSE*", "*/LICENSE*", "*.pdf", "*.csv"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.webp"),
    *("*.py", "*.pyc"),
    *("onnx/*", "openvino/*", "coreml/*", "*.mlpackage/*"),
    *("*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.tflite", "*.gguf", "*.mlmodel"),
    *("training-log.jsonl", "trainer_state.json", "training_args.bin", "*.tfevents.*", "checkpoint-*"),
    *("optimizer.*", "scheduler.pt", "scaler.pt", "rng_state*.pth"),
]
"""What lies in model folders and decides no output: documentation, pictures, code (it is never run), other
frameworks' formats, traces of the training. Patterns of paths relative to the folder, as ``fnmatch`` and the
Hub's client read them.
"""


def files_read(names: Iterable[str]) -> list[str]:
    """Return, sorted, those of a folder's files that a model reads; paths are relative to the folder, with
    '/'.

    Of weights that are there in two formats, safetensors are read.
    """
    kept = {name for name in names if not any(fnmatchcase(name, pattern) for pattern in NOT_READ)}
    return sorted(name for name in kept if not superseded(name, kept))


def list_files(folder: Path) -> list[str]:
    """Return the files in ``folder`` that a model reads; links are followed, the Hub's cache consists of
    them.
    """
    names = []
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if files_read([(inside / name).as_posix()])]
        names += [(inside / name).as_posix() for name in files if (Path(place) / name).is_file()]
    return files_read(names)


def checksum(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files that a model reads, in hexadecimal."""
    digest = hashlib.sha256()
    for name in list_files(folder):
        digest.update(f"{name} {sha256_file(folder / name)}\n".encode())
    return digest.hexdigest()


def has_weights(names: Iterable[str]) -> bool:
    """Tell whether there are weights among a model folder's files."""
    return any(name.endswith(".safetensors") or fnmatchcase(name, "*pytorch_model*.bin") for name in names)


def superseded(name: str, names: set[str]) -> bool:
    """Tell whether weights are not read, since ``names`` has them as safetensors in the same folder."""
    folder, slash, file = name.rpartition("/")
    return fnmatchcase(file, "pytorch_model*.bin*") and any(
        folder + slash + better in names for better in ("model.safetensors", "model.safetensors.index.json")
    )


def refuse_own_code(folder: Path) -> None:
    """Raise InputError if a model needs Python code of its own: code that comes with a model is never run."""
    for name in list_files(folder):
        path, file = folder / name, name.rpartition("/")[2]
        code = None
        if name == "modules.json":
            classes = [str(module["type"]) for module in _modules(path)]
            code = next((name for name in classes if not name.startswith("sentence_transformers.")), None)
        elif file in ("config.json", "tokenizer_config.json"):
            settings = _read(path)
            if not isinstance(settings, dict):
                raise InputError(f"{path}: expected a JSON object of settings; fetch the model again")
            code = "auto_map" if settings.get("auto_map") else None
        if code:
            raise InputError(
                f"{path} asks for Python code of the model's own ({code}), which is never run here; take "
                "another model, or remove the entry if transformers has this architecture itself"
            )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def module_paths(folder: Path) -> list[str]:
    """Return where a folder's Sentence Transformers modules lie in it, in order; at its top, if it names
    none.
    """
    path = folder / "modules.json"
    return [str(module["path"]) for module in _modules(path)] if path.is_file() else [""]


def _modules(path: Path) -> list[dict[str, Any]]:
    modules = _read(path)
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) and {"type", "path"} <= module.keys() for module in modules
    ):
        raise InputError(
            f"{path}: expected a list of modules, each with 'type' and 'path', as Sentence Transformers has"
        )
    return modules


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({first_line(error)}); fetch the model again") from None
