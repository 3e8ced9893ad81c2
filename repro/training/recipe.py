"""Training recipes: YAML files with all that decides what comes out of a training."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from repro.base.errors import InputError
from repro.distillation.mining import NEGATIVES
from repro.training.recipe_entries import AUTO, MODEL, STATIC_IDF, Auto, as_number, expected_of

FOLDER = Path(__file__).resolve().parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, with which settings.

    The comments in ``recipes/splade-tiny.yaml`` say what each entry means, those in ``recipes/adapt.yaml``
    and ``recipes/sample-doc.yaml`` what the last ones do, which a recipe may leave out.
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
    bm25_share: float = 0.0
    active_terms: float | Literal["base"] | None = None
    dropout: float | None = None
    term_factors: bool = False
    averages: list[float] = dataclasses.field(default_factory=list)
    query_encoder: str = MODEL


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
        entries[key] = as_number(entries[key]) if key in NUMBERS else entries[key]
        if expected := expected_of(key, types[key], entries[key]):
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
    if recipe.in_batch and recipe.dropout != 0:
        raise InputError(
            f"{path}: dropout: expected 0 beside in_batch, which knows a passage that is the positive of two "
            "queries by its equal vectors"
        )
    if recipe.query_encoder != MODEL:
        _check_static(recipe, path)
    if recipe.active_terms and not (recipe.query_regularizer_weight and recipe.document_regularizer_weight):
        raise InputError(f"{path}: active_terms: expected regularisers with weights above 0 to hold them by")
    return recipe


def _check_static(recipe: Recipe, path: Path) -> None:
    """Raise InputError for what compares with the base, whose queries are not static, or needs other weights
    of queries than there are.
    """
    expected = {
        "margin_scale": recipe.margin_scale != AUTO or "a number",
        "teacher_share": recipe.teacher_share == 1 or "1",
        "bm25_share": not recipe.bm25_share or "0",
        "active_terms": recipe.active_terms is None or "null",
        "term_factors": not recipe.term_factors or "false",
        "averages": not recipe.averages or "[]",
        "query_regularizer_weight": recipe.query_encoder != STATIC_IDF
        or not recipe.query_regularizer_weight
        or "0",
    }
    for key, holds in expected.items():
        if holds is not True:
            raise InputError(
                f"{path}: {key}: expected {holds} beside query_encoder: {recipe.query_encoder}, found "
                f"{getattr(recipe, key)!r}"
            )


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
