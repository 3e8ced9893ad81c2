"""Teachers of distillation: cross-encoders, and bi-encoders as ``dense:<model>``; found, and loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from repro.models.systems import RERANKER, System, own_system, table_systems
from repro.models.weights import Weights

if TYPE_CHECKING:
    from repro.dense.encoder import DenseEncoder

Score = Callable[[Sequence[tuple[str, str]]], np.ndarray]
"""(query, passage) pairs -> scores, float32."""


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
        return own_system(RERANKER, name, f"--teacher {name}")
    entry = table_systems().get(model)
    return entry if entry and entry.kind == "dense" else own_system("dense", model, f"--teacher {name}")


def cross_encoder(teacher: Teacher, threads: int) -> Score:
    """Load a cross-encoder; InputError as ``PairScorer`` raises it."""
    from repro.dense.cross_encoder import PairScorer

    return PairScorer(teacher.weights.path, threads)


def bi_encoder(teacher: Teacher, threads: int) -> "DenseEncoder":
    """Load a bi-encoder; InputError as ``DenseEncoder`` raises it."""
    from repro.dense.encoder import DenseEncoder

    return DenseEncoder(teacher.weights.path, teacher.system, threads)
