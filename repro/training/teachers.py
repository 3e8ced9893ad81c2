"""Teachers of distillation: cross-encoders, and bi-encoders as ``dense:<model>``. They score (query, passage) pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.models.systems import System, find_system, table_systems
from repro.models.weights import UNLOADABLE, resolve

Score = Callable[[Sequence[tuple[str, str]]], np.ndarray]
"""(query, passage) pairs -> scores, float32."""

CROSS_ENCODER_TOKENS = 512


@dataclass(frozen=True)
class Teacher:
    """A model's place and kind, known before it is loaded. ``sha256`` is that of its weights."""

    name: str
    kind: str
    folder: Path
    sha256: str
    system: System


def find_teacher(name: str) -> Teacher:
    """Return the teacher called ``name``: ``dense:X``, else a cross-encoder's folder or Hub name."""
    known = None
    if name.startswith("dense:"):
        entry = table_systems().get(name.removeprefix("dense:"))
        known = entry if entry and entry.kind == "dense" else find_system(name)
    elif not Path(name).expanduser().is_dir() and name.count("/") != 1:
        raise InputError(f"--teacher {name}: expected a cross-encoder's folder or Hub name, or dense:<model>")
    if known is None:
        local = Path(name).expanduser()
        place = {"local": local} if local.is_dir() else {"hub": name}
        known = System(local.resolve().name if local.is_dir() else name, "cross-encoder", **place)
    weights = resolve(known)
    return Teacher(name, known.kind, weights.path, weights.sha256, known)


def load(teacher: Teacher, threads: int) -> Score:
    """Load a teacher; InputError if its folder is none."""
    import torch

    torch.set_num_threads(threads)
    return _bi_encoder(teacher, threads) if teacher.kind == "dense" else _cross_encoder(teacher)


def _cross_encoder(teacher: Teacher) -> Score:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification

    try:
        _, loading = AutoModelForSequenceClassification.from_pretrained(
            teacher.folder, num_labels=1, output_loading_info=True
        )
        if loading["missing_keys"]:  # it would score with random numbers in their place
            raise InputError(
                f"{teacher.folder} is no cross-encoder: it lacks {min(loading['missing_keys'])}; "
                "a bi-encoder is given as dense:<model>"
            )
        model = CrossEncoder(str(teacher.folder), num_labels=1, max_length=CROSS_ENCODER_TOKENS)
    except UNLOADABLE as error:
        raise InputError(f"{teacher.folder} does not load as a cross-encoder ({error})") from error
    identity = torch.nn.Identity()  # margins are of the logits, not of their sigmoids
    return lambda pairs: model.predict(
        list(pairs), batch_size=64, activation_fn=identity, show_progress_bar=False, convert_to_numpy=True
    ).astype(np.float32)


def _bi_encoder(teacher: Teacher, threads: int) -> Score:
    from repro.dense.encoder import DenseEncoder

    encoder = DenseEncoder(teacher.folder, teacher.system, threads)

    def score(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        queries = list(dict.fromkeys(query for query, _ in pairs))
        passages = list(dict.fromkeys(passage for _, passage in pairs))
        query_vectors = dict(zip(queries, encoder.encode_queries(queries)))
        passage_vectors = dict(zip(passages, encoder.encode_documents(passages)))
        return np.array([query_vectors[q] @ passage_vectors[p] for q, p in pairs], dtype=np.float32)

    return score
