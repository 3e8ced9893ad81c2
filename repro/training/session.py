"""A training from recipe to model: data made if need be, checkpoints kept and taken up again, the model with its card."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import read_json, remove, sha256_file, write_json
from repro.base.progress import note
from repro.cli.options import CollectionOptions, TrainingOptions, WorkOptions
from repro.cli.stages import stage
from repro.models.systems import System, table_systems
from repro.models.weights import Weights, resolve
from repro.training.recipe import Recipe, read_recipe

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
"""What the held-out evaluation measures, and how the card names it."""


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


def train(options: TrainingOptions, work: WorkOptions) -> Artifact:
    """Train the recipe's model unless it is there; return it. InputError if --output has another and no --force."""
    recipe = read_recipe(options.recipe, _changes(options.set))
    _check_tracker(options.report_to)
    base = resolve(_base(recipe.base))
    with _first_process_first():
        parquet = _data(recipe, work)
    inputs = {
        "stage": "train",
        "format": FORMAT,
        "recipe": asdict(recipe),
        "base": base.sha256,
        "data": _fingerprint(parquet) if parquet else recipe.data["hub"],
        "stock": options.stock,
    }
    name = recipe.name if recipe.name.startswith("splade") else f"splade-{recipe.name}"
    refuse_foreign(options.output)
    model = Artifact(options.output or work.work / "trained" / name, inputs)
    training = Training(recipe, base, parquet, model, options, work)
    refuse_other_settings(model, work.force, "repro.train")
    if work.force or not model.is_current():
        with _making(model, work):
            refuse_other_settings(model, work.force, "repro.train")
            if work.force or not model.is_current():
                _train(training)
    if first_process() and options.push_to_hub:
        _push(model.path, options.push_to_hub)
    return model


def pretrain(options: TrainingOptions, work: WorkOptions) -> Artifact:
    """Train a masked language model on a collection's texts, with splade-tiny's vocabulary, unless it is there."""
    from repro.pipeline.opening import open_corpus
    from repro.training.pretraining import pretrain as train_masked

    corpus = open_corpus(CollectionOptions(options.mlm), work)
    vocabulary = resolve(table_systems()["splade-tiny"])
    inputs = {
        "stage": "pretrain",
        "format": FORMAT,
        "corpus": corpus.summary.sha256,
        "vocabulary": vocabulary.sha256,
        "shape": options.shape,
        "minutes": options.minutes,
    }
    refuse_foreign(options.output)
    name = f"mlm-{options.shape}.{corpus.collection.corpus}"
    model = Artifact(options.output or work.work / "trained" / name, inputs)
    refuse_other_settings(model, work.force, "repro.train --mlm")
    if work.force or not model.is_current():
        with model.making(work.wait):
            refuse_other_settings(model, work.force, "repro.train --mlm")
            if work.force or not model.is_current():
                folder = model.begin()
                texts = (document.text for document in corpus.collection.documents() if document.text)
                facts = train_masked(
                    texts, vocabulary.path, options.shape, options.minutes, folder, work.threads
                )
                model.finish(folder, **facts)
    return model


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
    with _first_process_first():
        resume = _resume(training.checkpoints, training.model.inputs, training.work.force)
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
    measured = trainer.evaluator(encoder) if task else {}
    if first_process():
        _keep(training, encoder, trainer, len(kept), task, measured)


def _keep(
    training: Training,
    encoder: "SparseEncoder",
    trainer: "SpladeTrainer",
    rows: int,
    task: "RetrievalTask | None",
    measured: dict[str, Any],
) -> None:
    """Save the model with its card and log."""
    from repro.training.card import model_card
    from repro.training.trainer import HELD_OUT, LOG, read_log

    model, checkpoints = training.model, training.checkpoints
    seconds = read_log(checkpoints / LOG)[-1]["seconds"]
    folder = model.begin()
    encoder.save_pretrained(str(folder), create_model_card=False)
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
    shutil.copyfile(checkpoints / LOG, folder / "training-log.jsonl")
    model.finish(folder, **facts)
    remove(checkpoints)
    note(f"{model.path}: {trainer.state.global_step:,} steps in {seconds:,.0f} s; {held_out}")


@contextlib.contextmanager
def _making(model: Artifact, work: WorkOptions) -> Iterator[None]:
    """Have the first process of a training hold the model's lock; the others are its own."""
    with model.making(work.wait) if first_process() else contextlib.nullcontext():
        yield


def _check_tracker(name: str) -> None:
    """Raise InputError if transformers does not know a tracker, or its library is not installed."""
    if name == "none":
        return
    from transformers.integrations import get_reporting_integration_callbacks

    try:
        for callback in get_reporting_integration_callbacks([name]):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"--report-to {name}: {error}") from error


def _base(name: str) -> System:
    """Return the base model's system: one of the table, a folder, or a Hub name."""
    if name in table_systems() and table_systems()[name].kind == "splade":
        return table_systems()[name]
    local = Path(name).expanduser()
    if local.is_dir():
        return System(local.resolve().name, "splade", local=local)
    if name.count("/") != 1:
        raise InputError(f"base: {name} is no system of the table, no folder and no Hub name (owner/model)")
    return System(name, "splade", hub=name)


def _data(recipe: Recipe, work: WorkOptions) -> Path | None:
    """Return the parquet file or folder that the recipe names, made first if it is a collection's; None for the Hub."""
    if "hub" in recipe.data:
        return None
    if "parquet" in recipe.data:
        path = Path(recipe.data["parquet"])
        if not path.exists():
            raise InputError(f"data: there is no {path}; make it with python -m repro.distill")
        return path
    options = [f"--{name.replace('_', '-')}={value}" for name, value in recipe.data.items()]
    again = WorkOptions(work.work, force=False, wait=work.wait, threads=work.threads)
    return Path(stage("repro.distill", *options, again).run())


def _fingerprint(path: Path) -> str:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return " ".join(sha256_file(file) for file in files)


def _resume(checkpoints: Path, inputs: dict[str, Any], force: bool) -> bool:
    """Prepare the folder of checkpoints; tell whether it has one of the same training to go on from."""
    if not first_process():
        return any(checkpoints.glob("checkpoint-*"))
    begun = checkpoints / "inputs.json"
    if not force and read_json(begun) != inputs and any(checkpoints.glob("checkpoint-*")):
        raise InputError(
            f"{checkpoints} holds an interrupted training with other settings, data or base; name another --output, "
            "or throw it away with --force"
        )
    if force or read_json(begun) != inputs:
        remove(checkpoints)
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_json(begun, inputs)
    for path in checkpoints.glob("checkpoint-*"):  # one that was being written when the process died
        if not (path / "trainer_state.json").is_file():
            remove(path)
    found = list(checkpoints.glob("checkpoint-*"))
    if found:
        note(f"going on from {max(found, key=lambda path: path.stat().st_mtime).name}")
    return bool(found)


def first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _first_process_first() -> contextlib.AbstractContextManager:
    """Return a context that the other processes of torchrun enter when the first has left it, be it after days."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return contextlib.nullcontext()
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=30)).main_process_first()


def _push(folder: Path, name: str) -> None:
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(name, exist_ok=True)
        HfApi().upload_folder(folder_path=str(folder), repo_id=name)
    except Exception as error:  # the hub's client raises many unrelated kinds
        raise InputError(
            f"--push-to-hub {name}: {str(error).splitlines()[0]} (the model is at {folder})"
        ) from error
    note(f"pushed {folder} to {name}")


def _changes(pairs: list[str]) -> dict[str, str]:
    changes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise InputError(f"--set {pair}: expected key=value")
        changes[key] = value
    return changes
