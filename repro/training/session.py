"""A training from recipe to model: base and data found, or made if need be; what ``fitting.py`` then does."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import file_name, remove, sha256_file
from repro.cli.options import WorkOptions
from repro.cli.stages import stage
from repro.cli.training_options import JUDGMENTS, TrainingOptions
from repro.collections.beir import BeirFolder
from repro.distillation.held_out import FOLDER
from repro.models.systems import System, own_system, table_systems
from repro.models.weights import Weights
from repro.pipeline.sources import unchanged, weights_of
from repro.training import checkpoints
from repro.training.fitting import Training, fit
from repro.training.hub import push
from repro.training.processes import alone, first_process, first_process_first
from repro.training.recipe import Recipe, entries_of, read_recipe
from repro.training.rows import parquet_files

FORMAT = 3
ADAPT = "adapt"
"""The recipe of --adapt."""
TRAIN = "train"
"""The split of a folder whose queries --adapt takes unless it is told."""


def train(name: str, options: TrainingOptions, work: WorkOptions) -> Artifact:
    """Train the model of the recipe called ``name`` unless it is there; return it.

    InputError if --output has one of other settings, finished or interrupted, and --force is not given.
    """
    refuse_foreign(options.output)
    recipe = _of_collection(read_recipe(name, changes_of(options.set)), options)
    _check_tracker(options.report_to)
    with contextlib.ExitStack() as locks:
        base = locks.enter_context(weights_of(_base(recipe.base), work.wait))
        with first_process_first():
            parquet = _data(recipe, work)
        locks.enter_context(unchanged(parquet, work.wait))
        model = _model(recipe, base, parquet, options, work)
        training = Training(recipe, base, parquet, _held_out(parquet), model, options, work)
        if work.force or not alone() or not _is_done(training):
            refuse_other_settings(model, work.force, "repro.train")  # sooner than when another is done
            with _making(training):
                refuse_other_settings(model, work.force, "repro.train")
                if work.force or not model.is_current():
                    fit(training)
                elif first_process() and not _is_done(training):
                    remove(training.checkpoints)
    if first_process() and options.push_to_hub:
        push(model.path, options.push_to_hub)
    return model


def _model(
    recipe: Recipe, base: Weights, parquet: Path | None, options: TrainingOptions, work: WorkOptions
) -> Artifact:
    inputs = {
        "stage": "train",
        "format": FORMAT,
        "recipe": entries_of(recipe),
        "base": base.sha256,
        "data": _fingerprint(parquet) if parquet else recipe.data["hub"],
        "stock": options.stock,
    }
    name = recipe.name if recipe.name.startswith("splade") else f"splade-{recipe.name}"
    path = options.output or work.work / "trained" / name
    if path.resolve() == base.path.resolve():
        raise InputError(f"base: {path} is where the model goes; name another --output")
    return Artifact(path, inputs)


def _is_done(training: Training) -> bool:
    """Tell whether the model is there, and the checkpoints that led to it are not there any more."""
    left = checkpoints.belongs(training.checkpoints, training.model.inputs)
    return training.model.is_current() and not left


@contextlib.contextmanager
def _making(training: Training) -> Iterator[None]:
    """Have the first process hold the model's lock, the others wait until it does: all see one state."""
    model, work = training.model, training.work
    with model.making(work.wait) if first_process() else contextlib.nullcontext():
        with first_process_first():
            pass
        yield


def _check_tracker(name: str) -> None:
    """Raise InputError if transformers does not know a tracker, or its library is not installed."""
    if name == "none":
        return
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    try:
        for callback in get_reporting_integration_callbacks([name]):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"--report-to {name}: {error}") from error


def _base(name: str) -> System:
    """Return the base model's system: one of the table, a folder, or a Hub name (owner/model[@revision])."""
    entry = table_systems().get(name)
    return entry if entry and entry.kind == "splade" else own_system("splade", name, f"base: {name}")


def _of_collection(recipe: Recipe, options: TrainingOptions) -> Recipe:
    """Return the recipe for the collection that --adapt names, if it does, and the teacher and queries that
    the options name.

    Its name is then the collection's, so that models of several stand side by side.
    """
    folder = options.adapt is not None and (Path(options.adapt).is_dir() or options.adapt == "sample")
    asked = {
        "collection": options.adapt,
        "split": options.split or (TRAIN if folder else None),
        "queries_from": ",".join(options.queries_from) if options.queries_from else None,
        "teacher": options.teacher,
    }
    changed = {key: value for key, value in asked.items() if value is not None}
    if not changed:
        return recipe
    if "collection" not in recipe.data:
        option = "adapt" if options.adapt else min(changed).replace("_", "-")
        raise InputError(f"--{option}: recipe {recipe.name} distils no collection")
    data = {**recipe.data, **changed}
    if options.queries_from == (JUDGMENTS,):
        data.pop("rows", None)  # it counts what is drawn
    elif options.queries_from and JUDGMENTS not in options.queries_from and not _is_judged(data):
        data.pop("held_out", None)
    if options.adapt is None:
        return replace(recipe, data=data)
    if not folder and options.split is None:
        del data["split"]  # the ir_datasets id names it
    place = Path(options.adapt).resolve().name if folder else options.adapt
    return replace(recipe, name=f"{recipe.name}-{file_name(place)}", data=data)


def _is_judged(data: dict[str, str | int]) -> bool:
    """Tell whether a folder has the split; anything else that is a collection has."""
    folder = Path(str(data["collection"]))
    try:
        return not folder.is_dir() or bool(BeirFolder(folder, str(data["split"])).qrels_file())
    except InputError:
        return False


def _data(recipe: Recipe, work: WorkOptions) -> Path | None:
    """Return the parquet file or folder that the recipe names, made first if need be; None for the Hub."""
    if "hub" in recipe.data:
        return None
    if "parquet" in recipe.data:
        path = Path(str(recipe.data["parquet"]))
        if not path.exists():
            raise InputError(f"data: there is no {path}; make it with python -m repro.distill")
        return path
    data = {**recipe.data, "negatives_from": _negatives_from(recipe)}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in data.items()]
    options += ["--bm25"] if recipe.bm25_share else []
    again = WorkOptions(work.work, force=False, wait=work.wait, threads=work.threads)
    return Path(stage("repro.distill", *options, again).run())


def base_system(recipe: Recipe) -> str:
    """Return the base as ``--system`` takes it."""
    return recipe.base if recipe.base in table_systems() else f"splade:{recipe.base}"


def teacher_system(recipe: Recipe) -> str | None:
    """Return the teacher as ``--system`` takes it; None for a cross-encoder, which ranks no collection."""
    name = str(recipe.data["teacher"])
    kind, _, model = name.partition(":")
    if kind != "dense" or not model:
        return None
    return model if model in table_systems() else name


def _negatives_from(recipe: Recipe) -> str:
    """Return the systems that candidates come from, ``base`` and ``teacher`` by the names they have as
    systems.
    """
    named = {"base": base_system(recipe), "teacher": teacher_system(recipe) or ""}
    systems = (name.strip() for name in str(recipe.data["negatives_from"]).split(","))
    found = dict.fromkeys(filter(None, (named.get(name, name) for name in systems)))
    if not found:
        raise InputError(
            "data: negatives_from: a cross-encoder ranks no candidates; name a system, such as bm25"
        )
    return ",".join(found)


def _held_out(parquet: Path | None) -> Path | None:
    """Return the folder of held-out queries beside distilled rows, if there is one."""
    folder = parquet / FOLDER if parquet is not None else None
    return folder if folder and folder.is_dir() else None


def _fingerprint(path: Path) -> str:
    """Return the checksums of distilled rows and of what is held out of them."""
    held_out = _held_out(path)
    beside = sorted(file for file in held_out.rglob("*") if file.is_file()) if held_out else []
    return " ".join(sha256_file(file) for file in [*map(Path, parquet_files(path)), *beside])


def changes_of(pairs: Sequence[str]) -> dict[str, str]:
    """Parse what --set takes, ``key=value`` each; InputError for one without a ``=``."""
    changes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise InputError(f"--set {pair}: expected key=value")
        changes[key] = value
    return changes
