"""Training recipes: YAML files with all that decides what comes out of a training."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from repro.base.errors import InputError
from repro.training.mining import NEGATIVES

FOLDER = Path(__file__).resolve().parent / "recipes"
DATA: tuple[dict[str, type], ...] = (
    {"hub": str},
    {"parquet": str},
    {"collection": str, "split": str, "teacher": str, "negatives_from": str, "depth": int},
)
"""What ``data`` may consist of: a data set on the Hub, files, or a collection's queries to be distilled."""
TYPES: dict[type, str] = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}
LARGEST_SEED = 2**32 - 1
"""NumPy's."""


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, with which settings.

    The comments in ``recipes/splade-tiny.yaml`` say what each entry means.
    """

    name: str
    origin: str
    base: str
    data: dict[str, str | int]
    rows: int | None
    negatives: list[int]
    margin_floor: float
    margin_scale: float
    query_regularizer_weight: float
    document_regularizer_weight: float
    epochs: float
    batch_size: int
    learning_rate: float
    schedule: str
    warmup_ratio: float
    optimizer: str
    fp16: bool
    max_length: int
    held_out: int
    evaluations: int
    seed: int


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
        entries[key] = _parse(value, f"--set {key}={value}")
    types = {field.name: field.type for field in dataclasses.fields(Recipe) if field.name != "name"}
    if unknown := entries.keys() - types.keys():
        raise InputError(f"{path}: unknown key {min(unknown, key=str)!r}; known are {', '.join(types)}")
    if missing := types.keys() - entries.keys():
        raise InputError(f"{path}: the key {min(missing)!r} is missing")
    for key, kind in types.items():
        entries[key] = _as_number(entries[key]) if kind is float else entries[key]
        if expected := _expected(key, kind, entries[key]):
            raise InputError(f"{path}: {key}: expected {expected}, found {entries[key]!r}")
    return Recipe(name=path.stem, **entries)


def as_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML, as a model card shows it."""
    entries = {key: value for key, value in dataclasses.asdict(recipe).items() if key != "name"}
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
    if kind in TYPES and (type(value) is not kind or (kind is float and not math.isfinite(value))):
        return TYPES[kind]
    if key in RULES:
        expected, holds = RULES[key]
        return None if holds(value) else expected
    return None


def _is_data(value: Any) -> bool:
    return isinstance(value, dict) and any(
        value.keys() == types.keys() and all(type(value[key]) is kind for key, kind in types.items())
        for types in DATA
    )


def _are_positions(value: Any) -> bool:
    return (
        isinstance(value, list) and value != [] and all(type(n) is int and 0 <= n < NEGATIVES for n in value)
    )


Rule = tuple[str, Callable[[Any], bool]]
POSITIVE: Rule = ("a positive number", lambda value: value > 0)
NOT_NEGATIVE: Rule = ("0 or more", lambda value: value >= 0)
RULES: dict[str, Rule] = {
    "data": (
        "{hub: ...}, {parquet: ...} or {collection, split, teacher, negatives_from, depth}, "
        "depth a number and the others text",
        _is_data,
    ),
    "negatives": (f"positions from 0 to {NEGATIVES - 1}", _are_positions),
    "origin": ("'published' or 'ours'", lambda value: value in ("published", "ours")),
    "rows": (
        "null (all) or a positive number",
        lambda value: value is None or (type(value) is int and value > 0),
    ),
    "max_length": ("3 or more", lambda value: value >= 3),
    "warmup_ratio": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
    "seed": (f"a whole number from 0 to {LARGEST_SEED}", lambda value: 0 <= value <= LARGEST_SEED),
    **dict.fromkeys(("epochs", "batch_size", "learning_rate", "margin_scale", "evaluations"), POSITIVE),
    **dict.fromkeys(("query_regularizer_weight", "document_regularizer_weight", "held_out"), NOT_NEGATIVE),
}
"""What a value must be beside its type, and whether it is."""
