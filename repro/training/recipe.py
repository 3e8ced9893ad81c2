"""Training recipes: YAML files with all that decides what comes out of a training."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import yaml

from repro.base.errors import InputError

FOLDER = Path(__file__).resolve().parent / "recipes"
DATA = ({"hub"}, {"parquet"}, {"collection", "split", "teacher", "negatives_from", "depth"})


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, and how. The comments in ``recipes/splade-tiny.yaml`` say what each entry means."""

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

    InputError names a key that is unknown or missing, and a value of a wrong type.
    """
    path = FOLDER / f"{name}.yaml" if (FOLDER / f"{name}.yaml").is_file() else Path(name)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise InputError(f"--recipe {name}: no such recipe or file; choose from {known}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected 'key: value' lines")
    for key, value in changes.items():
        try:
            entries[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"--set {key}={value}: the value is not YAML") from None
    fields = {field.name: field.type for field in dataclasses.fields(Recipe) if field.name != "name"}
    if unknown := entries.keys() - fields.keys():
        raise InputError(f"{path}: unknown key {min(unknown)!r}; known are {', '.join(fields)}")
    if missing := fields.keys() - entries.keys():
        raise InputError(f"{path}: the key {min(missing)!r} is missing")
    for key, kind in fields.items():
        entries[key] = _typed(path, key, entries[key], kind)
    _check(path, entries)
    return Recipe(name=path.stem, **entries)


def as_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML, as a model card shows it."""
    entries = {key: value for key, value in dataclasses.asdict(recipe).items() if key != "name"}
    return yaml.safe_dump(entries, sort_keys=False, default_flow_style=None)


def _typed(path: Path, key: str, value: object, kind: object) -> object:
    if kind is float and isinstance(value, str):  # YAML reads 8e-5 as a string
        try:
            return float(value)
        except ValueError:
            pass
    right = {
        float: isinstance(value, int | float) and not isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }.get(kind, isinstance(value, kind) if isinstance(kind, type) else True)
    if not right:
        raise InputError(f"{path}: {key}: expected {getattr(kind, '__name__', kind)}, found {value!r}")
    return float(value) if kind is float else value


def _check(path: Path, entries: dict) -> None:
    if not isinstance(entries["data"], dict) or set(entries["data"]) not in DATA:
        raise InputError(
            f"{path}: data: expected {{hub: ...}}, {{parquet: ...}} or {{collection, split, teacher, negatives_from, depth}}"
        )
    negatives = entries["negatives"]
    if not isinstance(negatives, list) or not negatives or any(n not in range(8) for n in negatives):
        raise InputError(f"{path}: negatives: expected positions from 0 to 7, found {negatives!r}")
    if entries["origin"] not in ("published", "ours"):
        raise InputError(f"{path}: origin: expected 'published' or 'ours', found {entries['origin']!r}")
    for key in ("epochs", "batch_size", "learning_rate", "margin_scale", "evaluations"):
        if not entries[key] > 0:
            raise InputError(f"{path}: {key}: expected a positive number, found {entries[key]!r}")
    rows = entries["rows"]
    if rows is not None and (not isinstance(rows, int) or rows < 1):
        raise InputError(f"{path}: rows: expected null (all) or a positive number, found {rows!r}")
    if entries["held_out"] < 0 or entries["max_length"] < 3 or not 0 <= entries["warmup_ratio"] <= 1:
        raise InputError(f"{path}: expected held_out >= 0, max_length >= 3 and warmup_ratio from 0 to 1")
