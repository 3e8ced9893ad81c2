"""Teachers of distillation: cross-encoders, and bi-encoders as ``dense:<model>``; found, and loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.systems import System, own_system, table_systems
from repro.models.weights import UNLOADABLE, Weights

if TYPE_CHECKING:
    from repro.dense.encoder import DenseEncoder

Score = Callable[[Sequence[tuple[str, str]]], np.ndarray]
"""(query, passage) pairs -> scores, float32."""

CROSS_ENCODER_TOKENS = 512


@dataclass(frozen=True)
class Teacher:
    """A model that was found, but is not loaded yet. ``name`` is what the user calls it."""

    name: str
    system: System
    weights: Weights


def teaching_system(name: str) -> System:
    """Return the system of a teacher: ``dense:X``, else a cross-encoder's folder or Hub name.

    A Hub name may have a revision, ``owner/model@revision``. InputError if it is neither.
    """
    kind, separator, model = name.partition(":")
    if not (separator and kind == "dense"):
        return own_system("cross-encoder", name, f"--teacher {name}")
    entry = table_systems().get(model)
    return entry if entry and entry.kind == "dense" else own_system("dense", model, f"--teacher {name}")


def cross_encoder(teacher: Teacher, threads: int) -> Score:
    """Load a cross-encoder; InputError if its folder is none, or has weights that are not finite."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    folder = teacher.weights.path
    try:
        stock, loading = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, output_loading_info=True, trust_remote_code=False, local_files_only=True
        )
        tokens = min(
            CROSS_ENCODER_TOKENS, getattr(stock.config, "max_position_embeddings", CROSS_ENCODER_TOKENS)
        )
        model = CrossEncoder(
            str(folder), num_labels=1, max_length=tokens, trust_remote_code=False, local_files_only=True
        )
    except UNLOADABLE as error:
        raise InputError(f"{folder} does not load as a cross-encoder ({first_line(error)})") from error
    if loading["missing_keys"]:  # it would score with random numbers in their place
        raise InputError(
            f"{folder} is no cross-encoder: it lacks {min(loading['missing_keys'])}; "
            "a bi-encoder is given as dense:<model>"
        )
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(f"{folder}: the weights of {name} are not all finite; fetch the model again")
    identity = torch.nn.Identity()  # margins are of the logits, not of their sigmoids
    return lambda pairs: model.predict(
        list(pairs), batch_size=64, activation_fn=identity, show_progress_bar=False, convert_to_numpy=True
    ).astype(np.float32)


def bi_encoder(teacher: Teacher, threads: int) -> "DenseEncoder":
    """Load a bi-encoder; InputError as ``DenseEncoder`` raises it."""
    from repro.dense.encoder import DenseEncoder

    return DenseEncoder(teacher.weights.path, teacher.system, threads)
