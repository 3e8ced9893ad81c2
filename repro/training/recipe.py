"""Training recipes: YAML files with all that decides what comes out of a training."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from repro.base.errors import InputError
from repro.distillation.mining import NEGATIVES

FOLDER = Path(__file__).resolve().parent / "recipes"
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
AUTO: Literal["auto"] = "auto"
Auto = Literal["auto"]
"""Measured on the data (``settings.py``)."""
LARGEST_SEED = 2**32 - 1
"""NumPy's."""


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, with which settings.

    The comments in ``recipes/splade-tiny.yaml`` say what each entry means, those in ``recipes/adapt.yaml``
    what the last six do, which a recipe may leave out.
    """

    name: str
    origin: str
    base: str
    data: dict[str, str | int]
    rows: int | None
    negatives: list[int]
    margin_floor: float | None
    margin_scale: float | Auto
    query_regularizer_weight: float
    document_regularizer_weight: float
    epochs: float | Auto
    batch_size: int
    learning_rate: float | Auto
    schedule: str
    warmup_ratio: float
    optimizer: str
    fp16: bool
    max_length: int | Auto
    held_out: int
    evaluations: int
    seed: int
    loss: str = "margin_mse"
    in_batch: bool = False
    teacher_share: float = 1.0
    active_terms: float | Literal["base"] | None = None
    dropout: float | None = None
    averages: list[float] = dataclasses.field(default_factory=list)


def read_recipe(name: str, changes: dict[str, str]) -> Recipe:
    """Return the recipe called ``name``, or in the file ``name``, with ``changes`` (key: YAML text) made.

    InputError if there is none or it is no YAML; it names a key that is unknown or missing, and a value of a
    wrong type or out of its bounds.
    """
    path = FOLDER / f"{name}.yaml" if (FOLDER / f"{name}.yaml").is_file() else Path(name)
    try:
        entries = _parse(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise InputError(f"--recipe {name}: no such recipe or file; choose from {known}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; expected a recipe in YAML") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected 'key: value' lines")
    for key, value in changes.items():
        parsed, (above, _, entry) = _parse(value, f"--set {key}={value}"), key.partition(".")
        if above == "data" and entry and isinstance(entries.get(above), dict):
            entries[above][entry] = parsed
        else:
            entries[key] = parsed
    types = {field.name: field.type for field in dataclasses.fields(Recipe) if field.name != "name"}
    if unknown := entries.keys() - types.keys():
        raise InputError(f"{path}: unknown key {min(unknown, key=str)!r}; known are {', '.join(types)}")
    if missing := types.keys() - entries.keys() - OPTIONAL.keys():
        raise InputError(f"{path}: the key {min(missing)!r} is missing")
    for key in types.keys() & entries.keys():
        entries[key] = _as_number(entries[key]) if key in NUMBERS else entries[key]
        if expected := _expected(key, types[key], entries[key]):
            raise InputError(f"{path}: {key}: expected {expected}, found {entries[key]!r}")
    distilled = entries["data"].get("negatives", NEGATIVES)
    if "collection" in entries["data"] and max(entries["negatives"]) >= distilled:
        expected = f"positions from 0 to {distilled - 1}"
        raise InputError(f"{path}: negatives: expected {expected}, found {entries['negatives']!r}")
    recipe = Recipe(name=path.stem, **entries)
    if recipe.averages and recipe.held_out:
        raise InputError(
            f"{path}: held_out: expected 0, since averages are chosen by queries that repro.distill holds "
            "out (data.held_out)"
        )
    if recipe.active_terms and not (recipe.query_regularizer_weight and recipe.document_regularizer_weight):
        raise InputError(f"{path}: active_terms: expected regularisers with weights above 0 to hold them by")
    return recipe


def entries_of(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's entries, its name among them, without those that may be left out and say nothing
    new.
    """
    entries = dataclasses.asdict(recipe)
    return {key: value for key, value in entries.items() if key not in OPTIONAL or value != OPTIONAL[key]}


def as_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML, as a model card shows it."""
    entries = {key: value for key, value in entries_of(recipe).items() if key != "name"}
    return yaml.safe_dump(entries, sort_keys=False, default_flow_style=None)


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{source}{line}: not YAML ({error.problem})") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that there is not
        raise InputError(f"{source}: not YAML ({str(error).splitlines()[0]})") from None
    except RecursionError:
        raise InputError(f"{source}: nested too deep for a recipe; expected 'key: value' lines") from None


def _as_number(value: Any) -> Any:
    """Return a number as a float, one that YAML reads as text, too (8e-5); anything else as it is."""
    try:
        return value if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _expected(key: str, kind: Any, value: Any) -> str | None:
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
    "active_terms": (
        "null, base, or a positive number of a document's terms",
        lambda value: value in (None, "base") or (_is_finite(value) and value > 0),
    ),
    "dropout": ("null or a number from 0 to below 1", lambda value: value is None or 0 <= value < 1),
    "averages": ("shares above 0, at most 1, of the trained weights", _are_averages),
    **dict.fromkeys(("epochs", "batch_size", "learning_rate", "margin_scale", "evaluations"), POSITIVE),
    **dict.fromkeys(("query_regularizer_weight", "document_regularizer_weight", "held_out"), NOT_NEGATIVE),
}
"""What a value must be beside its type, and whether it is."""
OPTIONAL: dict[str, Any] = {
    field.name: field.default
    for field in dataclasses.fields(Recipe)
    if field.default is not dataclasses.MISSING
} | {"averages": []}
"""Keys that a recipe may leave out, and what they are then."""
NUMBERS = {
    field.name
    for field in dataclasses.fields(Recipe)
    if field.type in (float, float | Auto, float | None) or field.name == "active_terms"
}
"""Keys whose numbers may be written as YAML reads text (8e-5)."""
