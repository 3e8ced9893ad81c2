"""What each entry of a recipe may be: its type, and the bounds of its value."""

import math
from collections.abc import Callable
from typing import Any, Literal

DATA: tuple[dict[str, type], ...] = (
    {"hub": str},
    {"parquet": str},
    {"collection": str, "split": str, "teacher": str, "negatives_from": str, "depth": int},
)
"""What ``data`` may consist of: a data set on the Hub, files, or a collection's queries to be distilled."""
DISTILLED: dict[str, type] = {
    "queries_from": str,
    "rows": int,
    "negatives": int,
    "positives": int,
    "held_out": int,
}
"""Options of ``repro.distill`` that a collection to be distilled may have besides."""
LOSSES = ("margin_mse", "kl", "both")
MODEL, STATIC_IDF, STATIC_LEARNED = QUERY_ENCODERS = ("model", "idf", "learned")
"""What encodes queries: the model, or static weights of their tokens, kept as idf or learned."""
AUTO: Literal["auto"] = "auto"
Auto = Literal["auto"]
"""Measured on the data (``settings.py``)."""
LARGEST_SEED = 2**32 - 1
"""NumPy's."""


def as_number(value: Any) -> Any:
    """Return a number as a float, one that YAML reads as text, too (8e-5); anything else as it is."""
    try:
        return value if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def expected_of(key: str, kind: Any, value: Any) -> str | None:
    """Return what is expected of a key if ``value`` is something else; ``kind`` is the type of the key."""
    if value == AUTO and kind in (float | Auto, int | Auto):
        return None
    if value is None and kind == float | None:
        return None
    if kind in TYPES:
        expected, holds = TYPES[kind]
        if not holds(value):
            return expected
    if key in RULES:
        expected, holds = RULES[key]
        return None if holds(value) else expected
    return None


def _is_finite(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_data(value: Any) -> bool:
    def holds(types: dict[str, type], more: dict[str, type]) -> bool:
        known = types | more
        return types.keys() <= value.keys() <= known.keys() and all(
            type(entry) is known[key] for key, entry in value.items()
        )

    return isinstance(value, dict) and any(
        holds(types, DISTILLED if "collection" in types else {}) for types in DATA
    )


def _are_positions(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(type(n) is int and n >= 0 for n in value)


def _are_averages(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) in (int, float) and 0 < n <= 1 for n in value)


Rule = tuple[str, Callable[[Any], bool]]
TYPES: dict[Any, Rule] = {
    float: ("a finite number", _is_finite),
    int: ("a whole number", _is_whole),
    bool: ("true or false", lambda value: type(value) is bool),
    str: ("text", lambda value: type(value) is str),
    float | Auto: ("a finite number or auto", _is_finite),
    int | Auto: ("a whole number or auto", _is_whole),
    float | None: ("a finite number or null", _is_finite),
}
POSITIVE: Rule = ("a positive number", lambda value: value > 0)
NOT_NEGATIVE: Rule = ("0 or more", lambda value: value >= 0)
SHARE: Rule = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
RULES: dict[str, Rule] = {
    "data": (
        "{hub: ...}, {parquet: ...} or {collection, split, teacher, negatives_from, depth} with, if need be, "
        f"{', '.join(DISTILLED)}; numbers where repro.distill takes numbers, else text",
        _is_data,
    ),
    "negatives": ("positions from 0 up, among a row's negatives", _are_positions),
    "origin": ("'published' or 'ours'", lambda value: value in ("published", "ours")),
    "rows": (
        "null (all) or a positive number",
        lambda value: value is None or (type(value) is int and value > 0),
    ),
    "max_length": ("3 or more", lambda value: value >= 3),
    "warmup_ratio": SHARE,
    "seed": (f"a whole number from 0 to {LARGEST_SEED}", lambda value: 0 <= value <= LARGEST_SEED),
    "loss": (f"one of {', '.join(LOSSES)}", lambda value: value in LOSSES),
    "teacher_share": ("more than 0, at most 1", lambda value: 0 < value <= 1),
    "bm25_share": ("0 or more, less than 1", lambda value: 0 <= value < 1),
    "active_terms": (
        "null, base, or a positive number of a document's terms",
        lambda value: value in (None, "base") or (_is_finite(value) and value > 0),
    ),
    "query_encoder": (f"one of {', '.join(QUERY_ENCODERS)}", lambda value: value in QUERY_ENCODERS),
    "dropout": ("null or a number from 0 to below 1", lambda value: value is None or 0 <= value < 1),
    "averages": ("shares above 0, at most 1, of the trained weights", _are_averages),
    **dict.fromkeys(("epochs", "batch_size", "learning_rate", "margin_scale", "evaluations"), POSITIVE),
    **dict.fromkeys(("query_regularizer_weight", "document_regularizer_weight", "held_out"), NOT_NEGATIVE),
}
"""What a value must be beside its type, and whether it is."""
