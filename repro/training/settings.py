"""What a recipe leaves to the data ("auto", "base") as numbers.

All are measured on the rows that are trained on, or follow from their number:

- ``margin_scale: auto`` brings the teacher's margins t to the base's b: sqrt(sum b^2 / sum t^2), the
  geometric mean of the two least-squares estimates of b / t through the origin, the slope of b on t and the
  inverse of that of t on b (reduced major axis). The first alone is too small by their correlation, and less
  than 0 where candidates were picked for a high score of either; the second is as much too large. BM25's
  margins are always brought to the base's so.
- ``temperature`` is the standard deviation of the scores to be learned within a query's candidates. Losses
  are of scores divided by it, so that they, and the weights of the regularisers beside them, mean the same on
  every collection.
- ``max_length: auto`` is the length of the passages at 95 %, in steps of 16 tokens, at most 128.
- ``epochs: auto`` is one, or as many as make LEAST_ROWS of the rows.
- ``learning_rate: auto`` is LEARNING_RATE for that many rows and falls with the root of their number.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import note
from repro.training.recipe import Recipe
from repro.training.recipe_entries import AUTO
from repro.training.rows import BM25, REST, passages_of

if TYPE_CHECKING:
    from datasets import Dataset

LEAST_ROWS = 2_400
LEARNING_RATE = 2e-4
LONGEST = 128
"""Of max_length: auto; a training's time grows with it, and 256 gained little (docs/training.md)."""
STEP = 16
SAMPLED = 2_000
"""Passages whose lengths are looked at."""


@dataclass(frozen=True)
class Settings:
    """A recipe's numbers, those that it states and those that were measured.

    ``query_terms`` and ``document_terms`` are what a controller holds active terms to; None: there is none.
    """

    max_length: int
    epochs: float
    learning_rate: float
    margin_scale: float
    temperature: float = 1.0
    query_terms: float | None = None
    document_terms: float | None = None

    def record(self) -> dict[str, float]:
        """Return what was settled, rounded, for the log, the card and the manifest."""
        return {
            key: value if isinstance(value, int) else float(f"{value:.4g}")
            for key, value in asdict(self).items()
            if value is not None
        }


def settle(recipe: Recipe, rows: "Dataset", base: Path, threads: int) -> tuple[Settings, "Dataset"]:
    """Return the recipe's settings on ``rows``, and the rows, with what others than the teacher say of the
    margins (``rest``) where the recipe compares with the base.

    InputError if margins that are to be scaled are all zero.
    """
    max_length = _length(rows, base) if recipe.max_length == AUTO else recipe.max_length
    passes = max(1.0, LEAST_ROWS / len(rows))
    settings = Settings(
        max_length=max_length,
        epochs=passes if recipe.epochs == AUTO else recipe.epochs,
        learning_rate=(
            LEARNING_RATE * min(1.0, math.sqrt(LEAST_ROWS / len(rows)))
            if recipe.learning_rate == AUTO
            else recipe.learning_rate
        ),
        margin_scale=1.0 if recipe.margin_scale == AUTO else recipe.margin_scale,
    )
    if not _compares(recipe):
        return settings, rows
    from repro.training.base_margins import base_margins

    found = base_margins(rows, base, max_length, threads)
    teacher, own = np.array(rows["label"], np.float64), found.margins.astype(np.float64)
    scale = fitted_scale(teacher, own) if recipe.margin_scale == AUTO else recipe.margin_scale
    models = 1 - recipe.bm25_share
    rest = models * (1 - recipe.teacher_share) * own
    if recipe.bm25_share:
        bm25 = np.array(rows[BM25], np.float64)
        if not bm25.any():
            raise InputError("bm25_share: BM25's margins are all zero; set it to 0")
        rest += recipe.bm25_share * fitted_scale(bm25, own) * bm25
    learned = models * recipe.teacher_share * scale * teacher + rest
    settings = replace(settings, margin_scale=scale, temperature=spread(learned))
    if (held := recipe.active_terms) is not None:
        document_terms = held if isinstance(held, float) else found.document_terms
        settings = replace(settings, query_terms=found.query_terms, document_terms=document_terms)
    note(f"{recipe.name}: measured on {len(rows):,} rows: {settings.record()}")
    return settings, rows.add_column(REST, rest.astype(np.float32).tolist())


def fitted_scale(teacher: np.ndarray, base: np.ndarray) -> float:
    """Return the factor that brings margins of a teacher to those of a base, rows x negatives."""
    of_teacher, of_base = float((teacher**2).sum()), float((base**2).sum())
    if not (of_teacher > 0 and of_base > 0):
        which = "teacher's" if of_base > 0 else "base's"
        raise InputError(f"margin_scale: auto: the {which} margins are all zero; state a number")
    return math.sqrt(of_base / of_teacher)


def spread(margins: np.ndarray) -> float:
    """Return the standard deviation of scores within a row's candidates, of which the positive's is 0 and
    the others' are minus the margins.
    """
    scores = np.concatenate([np.zeros((len(margins), 1)), -margins], axis=1)
    return math.sqrt(float(scores.var(axis=1).mean())) or 1.0


def _compares(recipe: Recipe) -> bool:
    """Tell whether a recipe asks for something that only a look at the base's own scores can tell.

    The published recipes do not: their loss is of margins as they are.
    """
    fitted = recipe.loss != "margin_mse" or recipe.in_batch  # whose temperature is fitted
    mixed = recipe.margin_scale == AUTO or recipe.teacher_share < 1 or recipe.bm25_share > 0
    return fitted or mixed or recipe.active_terms is not None


def _length(rows: "Dataset", base: Path) -> int:
    """Return the length of the passages at 95 %, in tokens of the base."""
    from repro.splade.loading import load_masked_lm

    columns = passages_of(rows)
    sampled = rows[: SAMPLED // len(columns) + 1]
    tokenizer, model = load_masked_lm(base)
    most = min(LONGEST, getattr(model.config, "max_position_embeddings", LONGEST))
    texts = [text for column in columns for text in sampled[column]]
    tokens = tokenizer(texts, truncation=True, max_length=most)["input_ids"]
    longest = float(np.percentile([len(ids) for ids in tokens], 95))
    return min(most, STEP * math.ceil(longest / STEP))
