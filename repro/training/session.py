"""A training from recipe to model: data made if need be, checkpoints kept and taken up again, the model with
its card.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import remove, sha256_file
from repro.base.progress import note
from repro.cli.options import WorkOptions
from repro.cli.stages import stage
from repro.cli.training_options import TrainingOptions
from repro.models.links import write_binary
from repro.models.systems import System, own_system, table_systems
from repro.models.weights import Weights
from repro.training import checkpoints
from repro.training.hub import push
from repro.training.processes import alone, first_process, first_process_first
from repro.training.recipe import Recipe, read_recipe
from repro.training.rows import parquet_files
from repro.training.sources import unchanged, weights_of

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

    from repro.training.rows import RetrievalTask
    from repro.training.trainer import SpladeTrainer

FORMAT = 1
FIGURES = {
    "dot_mrr@10": "RR@10",
    "query_active_dims": "active terms a query",
    "corpus_active_dims": "active terms a document",
}
"""What the held-out evaluation measures, and what the card calls it."""


@dataclass(frozen=True)
class Training:
    """A recipe with its base and data, and where the model goes."""

    recipe: Recipe
    base: Weights
    parquet: Path | None
    model: Artifact
    options: TrainingOptions
    work: WorkOptions

    @property
    def checkpoints(self) -> Path:
        """Where the trainer leaves what an interrupted training goes on from."""
        return self.model.path.with_name(f"{self.model.path.name}.checkpoints")


def train(name: str, options: TrainingOptions, work: WorkOptions) -> Artifact:
    """Train the model of the recipe called ``name`` unless it is there; return it.

    InputError if --output has one of other settings, finished or interrupted, and --force is not given.
    """
    refuse_foreign(options.output)
    recipe = read_recipe(name, _changes(options.set))
    _check_tracker(options.report_to)
    with contextlib.ExitStack() as locks:
        base = locks.enter_context(weights_of(_base(recipe.base), work.wait))
        with first_process_first():
            parquet = _data(recipe, work)
        locks.enter_context(unchanged(parquet, work.wait))
        model = _model(recipe, base, parquet, options, work)
        training = Training(recipe, base, parquet, model, options, work)
        if work.force or not alone() or not _is_done(training):
            refuse_other_settings(model, work.force, "repro.train")  # sooner than when another is done
            with _making(training):
                refuse_other_settings(model, work.force, "repro.train")
                if work.force or not model.is_current():
                    _train(training)
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
        "recipe": asdict(recipe),
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


def _train(training: Training) -> None:
    """Train, keep the best checkpoint, and leave the model with its card in its folder."""
    import datasets
    import torch
    import transformers

    from repro.training import rows as data
    from repro.training.trainer import make_trainer, open_model

    recipe, options = training.recipe, training.options
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(training.work.threads)
    rows = data.read_rows(recipe, training.parquet)
    kept, aside = data.split(rows, recipe.held_out)
    task = data.retrieval_task(aside) if len(aside) else None
    tensorboard = training.model.path.with_name(f"{training.model.path.name}.tensorboard")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(tensorboard))
    with first_process_first():
        resume = checkpoints.prepare(training.checkpoints, training.model.inputs, training.work.force)
    torch.manual_seed(recipe.seed)
    encoder = open_model(training.base.path, recipe.max_length, options.stock, training.work.threads)
    trainer = make_trainer(
        encoder,
        recipe,
        data.training_rows(kept, recipe),
        task,
        training.checkpoints,
        options.report_to,
        options.log_every,
    )
    if first_process():
        note(
            f"{recipe.name} ({recipe.origin}): {len(kept):,} rows, {len(aside):,} held out, "
            f"from {training.base.source}"
        )
    trainer.train(resume_from_checkpoint=resume)
    measured = trainer.held_out(encoder) if trainer.held_out else {}
    if first_process():
        _keep(training, encoder, trainer, len(kept), task, measured)


def _keep(
    training: Training,
    encoder: "SparseEncoder",
    trainer: "SpladeTrainer",
    rows: int,
    task: "RetrievalTask | None",
    measured: dict[str, float],
) -> None:
    """Save the model with its card and log."""
    from repro.training.card import model_card
    from repro.training.trainer import HELD_OUT, LOG, read_log

    _refuse_diverged(encoder, training)
    model, log = training.model, training.checkpoints / LOG
    seconds = read_log(log)[-1]["seconds"]
    folder = model.begin()
    encoder.save_pretrained(str(folder), create_model_card=False)
    write_binary(folder, folder)
    held_out = {
        label: round(float(measured[f"{HELD_OUT}_{key}"]), 4)
        for key, label in FIGURES.items()
        if f"{HELD_OUT}_{key}" in measured
    }
    facts = {
        "command": provenance()["command"],
        "rows": rows,
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
        "queries": len(task[0]) if task else 0,
        "passages": len(task[1]) if task else 0,
        "held_out": held_out,
    }
    card = model_card(model.path.name, training.recipe, facts)
    (folder / "README.md").write_text(card, encoding="utf-8")
    shutil.copyfile(log, folder / "training-log.jsonl")
    model.finish(folder, **facts, weights=training.base.record())
    remove(training.checkpoints)
    note(f"{model.path}: {trainer.state.global_step:,} steps in {seconds:,.0f} s; {held_out}")


def _refuse_diverged(encoder: "SparseEncoder", training: Training) -> None:
    """Raise InputError if the best checkpoint's weights are not finite: nothing could load them."""
    import torch

    for name, weight in encoder.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(
                f"{training.recipe.name}: the training diverged, the weights of {name} are not finite; begin "
                "anew with a lower learning_rate and --force"
            )


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


def _data(recipe: Recipe, work: WorkOptions) -> Path | None:
    """Return the parquet file or folder that the recipe names, made first if need be; None for the Hub."""
    if "hub" in recipe.data:
        return None
    if "parquet" in recipe.data:
        path = Path(str(recipe.data["parquet"]))
        if not path.exists():
            raise InputError(f"data: there is no {path}; make it with python -m repro.distill")
        return path
    options = [f"--{name.replace('_', '-')}={value}" for name, value in recipe.data.items()]
    again = WorkOptions(work.work, force=False, wait=work.wait, threads=work.threads)
    return Path(stage("repro.distill", *options, again).run())


def _fingerprint(path: Path) -> str:
    return " ".join(sha256_file(Path(file)) for file in parquet_files(path))


def _changes(pairs: list[str]) -> dict[str, str]:
    changes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise InputError(f"--set {pair}: expected key=value")
        changes[key] = value
    return changes
