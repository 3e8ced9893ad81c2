"""The processes of a training that torchrun has started: which is the first, how the others wait for it."""

import contextlib
import os
from datetime import timedelta


def first_process() -> bool:
    """Tell whether this is the process that makes data, keeps checkpoints and saves the model."""
    return os.environ.get("RANK", "0") == "0"


def alone() -> bool:
    """Tell whether the training has one process."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def first_process_first() -> contextlib.AbstractContextManager[None]:
    """Return a context that the other processes enter when the first has left it, be it after days."""
    if alone():
        return contextlib.nullcontext()
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=30)).main_process_first()
