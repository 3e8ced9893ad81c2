"""The checkpoints of an interrupted training: whether there are any to go on from, and whose they are."""

from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import read_json, remove, write_json
from repro.base.progress import note
from repro.training.processes import first_process

INPUTS = "inputs.json"
"""What the training is made from, beside its checkpoints."""


def prepare(checkpoints: Path, inputs: dict[str, Any], force: bool) -> bool:
    """Prepare the folder of checkpoints; tell whether it has one of the same training to go on from.

    InputError if it has those of a training from other inputs, unless ``force``: then all are removed.
    """
    if not first_process():
        return any(checkpoints.glob("checkpoint-*"))
    same = not force and belongs(checkpoints, inputs)
    for path in checkpoints.glob("checkpoint-*"):
        if read_json(path / "trainer_state.json") is None:  # its process was killed while it wrote it
            remove(path)
    if not force and not same and any(checkpoints.glob("checkpoint-*")):
        raise InputError(
            f"{checkpoints} holds an interrupted training with other settings, data or base; name another "
            "--output, or throw it away with --force"
        )
    if not same:
        remove(checkpoints)
        checkpoints.mkdir(parents=True)
        write_json(checkpoints / INPUTS, inputs)
    steps = [int(path.name.removeprefix("checkpoint-")) for path in checkpoints.glob("checkpoint-*")]
    if steps:
        note(f"going on from step {max(steps):,}")
    return bool(steps)


def belongs(checkpoints: Path, inputs: dict[str, Any]) -> bool:
    """Tell whether a folder of checkpoints is that of a training from these inputs."""
    return read_json(checkpoints / INPUTS) == inputs
