"""From rows to a model: trained, checkpoints kept and taken up again, weights chosen, the card written."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import remove
from repro.base.progress import note
from repro.cli.options import WorkOptions
from repro.cli.training_options import TrainingOptions
from repro.models.links import write_binary
from repro.models.systems import MAX_LENGTH
from repro.models.weights import Weights
from repro.training import checkpoints
from repro.training.processes import first_process, first_process_first
from repro.training.recipe import Recipe
from repro.training.recipe_entries import AUTO, MODEL, STATIC_LEARNED

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from sentence_transformers import SparseEncoder

    from repro.training.rows import RetrievalTask
    from repro.training.settings import Settings
    from repro.training.trainer import SpladeTrainer

FIGURES = {
    "dot_mrr@10": "RR@10",
    "query_active_dims": "active terms a query",
    "corpus_active_dims": "active terms a document",
}
"""What the evaluation on held-out rows measures, and what the card calls it."""


@dataclass(frozen=True)
class Training:
    """A recipe with its base and data, and where the model goes.

    ``held_out`` is a folder in BEIR's layout whose queries choose the weights; None: rows do, or nothing.
    """

    recipe: Recipe
    base: Weights
    parquet: Path | None
    held_out: Path | None
    model: Artifact
    options: TrainingOptions
    work: WorkOptions

    @property
    def checkpoints(self) -> Path:
        """Where the trainer leaves what an interrupted training goes on from."""
        return self.model.path.with_name(f"{self.model.path.name}.checkpoints")


def fit(training: Training) -> None:
    """Train, choose the weights, and leave the model with its card in its folder."""
    import datasets
    import torch
    import transformers

    from repro.training import rows as data
    from repro.training.choice import weights_of
    from repro.training.settings import settle
    from repro.training.trainer import make_trainer, open_model

    recipe, options, threads = training.recipe, training.options, training.work.threads
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    kept, aside = data.split(data.read_rows(recipe, training.parquet), recipe.held_out)
    task = data.retrieval_task(aside) if len(aside) and not recipe.averages else None
    tensorboard = training.model.path.with_name(f"{training.model.path.name}.tensorboard")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(tensorboard))
    with first_process_first():
        resume = checkpoints.prepare(training.checkpoints, training.model.inputs, training.work.force)
    settings, kept = settle(recipe, kept, training.base.path, threads)
    torch.manual_seed(recipe.seed)
    encoder = open_model(training.base.path, settings.max_length, options.stock, threads, recipe.dropout)
    if recipe.query_encoder != MODEL:
        from repro.training.inference_free import inference_free

        encoder = inference_free(encoder, kept, learned=recipe.query_encoder == STATIC_LEARNED)
    base = weights_of(encoder)
    rows = data.training_rows(kept, recipe, settings.margin_scale)
    trainer = make_trainer(
        encoder,
        recipe,
        settings,
        rows,
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
    _choose(training, encoder, base, trainer, settings, kept, task)


def _choose(
    training: Training,
    encoder: "SparseEncoder",
    base: "dict[str, torch.Tensor]",
    trainer: "SpladeTrainer",
    settings: "Settings",
    rows: "Dataset",
    task: "RetrievalTask | None",
) -> None:
    """Choose the weights by what is held out, and keep the model."""
    from repro.training import rows as data
    from repro.training.choice import choose_weights, is_finite, keep_average, weights_of
    from repro.training.term_factors import TermFactors
    from repro.training.trainer import HELD_OUT, base_is_best

    recipe = training.recipe
    facts: dict[str, Any] = {
        "command": provenance()["command"],
        "rows": len(rows),
        "steps": trainer.state.global_step,
        "queries": len(task[0]) if task else 0,
        "passages": len(task[1]) if task else 0,
        "settings": settings.record(),
    }
    if trainer.held_out:
        if why := base_is_best(trainer.state):
            facts["why"] = why
        measured = trainer.held_out(encoder)
        figures = {
            label: round(float(measured[f"{HELD_OUT}_{key}"]), 4)
            for key, label in FIGURES.items()
            if f"{HELD_OUT}_{key}" in measured
        }
        facts["held_out"] = figures
    if first_process():
        threads, trained, factors = training.work.threads, weights_of(encoder), None
        if recipe.term_factors and is_finite(trained):
            every = replace(recipe, negatives=list(range(len(data.passages_of(rows)) - 1)))
            learned = data.training_rows(rows, every, settings.margin_scale)
            factors = TermFactors(encoder, learned, settings.max_length, threads)
        if not recipe.averages:
            _refuse_diverged(encoder, training)
            if factors:
                factors.scale(trained)
        elif training.held_out:
            from repro.collections.opening import open_collection

            held_out = open_collection(str(training.held_out))
            most = recipe.active_terms if isinstance(recipe.active_terms, float) else None
            choice = choose_weights(encoder, base, trained, recipe.averages, held_out, threads, most, factors)
            facts |= {"choice": [c.record() for c in choice.candidates], "kept": choice.kept.share}
            facts |= {"why": choice.why, "factors": choice.kept.factors}
            if factors and choice.kept.p is None:
                factors.share()
        else:
            _refuse_diverged(encoder, training)
            facts["kept"], facts["why"] = keep_average(encoder, base, trained, recipe.averages, factors)
        _keep(training, encoder, facts)


def _keep(training: Training, encoder: "SparseEncoder", facts: dict[str, Any]) -> None:
    """Save the model with its card and log."""
    from repro.training.card import model_card
    from repro.training.inference_free import put_documents_on_top
    from repro.training.trainer import LOG, longest, read_log

    model, log = training.model, training.checkpoints / LOG
    facts["seconds"] = round(read_log(log)[-1]["seconds"], 1)
    folder = model.begin()
    if training.recipe.max_length == AUTO:  # a length for training; what is encoded later is not cut so short
        encoder.max_seq_length = min(MAX_LENGTH, longest(encoder) or MAX_LENGTH)
    encoder.save_pretrained(str(folder), create_model_card=False)
    put_documents_on_top(folder)
    write_binary(folder, folder)
    card = model_card(model.path.name, training.recipe, facts)
    (folder / "README.md").write_text(card, encoding="utf-8")
    shutil.copyfile(log, folder / "training-log.jsonl")
    model.finish(folder, **facts, weights=training.base.record())
    remove(training.checkpoints)
    told = facts.get("why") or facts.get("held_out") or ""
    note(f"{model.path}: {facts['steps']:,} steps in {facts['seconds']:,.0f} s; {told}")


def _refuse_diverged(encoder: "SparseEncoder", training: Training) -> None:
    """Raise InputError if the best checkpoint's weights are not finite: nothing could load them."""
    import torch

    for name, weight in encoder.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(
                f"{training.recipe.name}: the training diverged, the weights of {name} are not finite; begin "
                "anew with a lower learning_rate and --force"
            )
