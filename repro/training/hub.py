"""A trained model handed to the Hub."""

from pathlib import Path

from repro.base.errors import InputError
from repro.base.progress import note
from repro.models.folder import first_line


def push(folder: Path, name: str) -> None:
    """Create the repository ``name`` if need be and upload a model's folder; else InputError."""
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(name, exist_ok=True)
        HfApi().upload_folder(folder_path=str(folder), repo_id=name)
    except Exception as error:  # the hub's client raises many unrelated kinds
        raise InputError(f"--push-to-hub {name}: {first_line(error)} (the model is at {folder})") from error
    note(f"pushed {folder} to {name}")
