"""The training itself: Sentence Transformers' trainer and losses over this project's max-pooled head.

Loss: SpladeLoss of what ``losses.py`` has, and FLOPS regularisers (Paria et al. 2020, arXiv:2004.05665) of
queries and documents.
"""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.callbacks.splade_callbacks import (
    SpladeRegularizerWeightSchedulerCallback,
)
from sentence_transformers.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator
from sentence_transformers.sparse_encoder.losses import SpladeLoss
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from repro.base.errors import InputError
from repro.base.files import write_text
from repro.base.progress import note
from repro.models.router import documents_folder
from repro.splade.acceleration import accelerate
from repro.splade.loading import load_masked_lm
from repro.training.inference_free import route_columns
from repro.training.losses import ActiveTermsController, Distillation, GlobalFlops
from repro.training.recipe import Recipe
from repro.training.recipe_entries import MODEL, STATIC_LEARNED
from repro.training.rows import RetrievalTask
from repro.training.settings import Settings

if TYPE_CHECKING:
    from datasets import Dataset

SANE_TERMS = {"document": (5, 2000), "query": (1, 500)}
"""Active terms outside of which a model is of little use: collapsed, or as slow to search as a dense one."""
HELD_OUT = "held_out"
METRIC = f"eval_{HELD_OUT}_dot_mrr@10"
LOG = "log.jsonl"
"""The training log's name among the checkpoints."""


def open_model(
    folder: Path, max_length: int, stock: bool, threads: int, dropout: float | None = None
) -> SparseEncoder:
    """Return a SPLADE-max model over a folder's masked language model, with this project's head unless
    ``stock``. ``dropout`` is that of training, instead of the model's own.

    InputError if the folder has no such model, or it has fewer positions than ``max_length``.
    """
    folder = documents_folder(folder)
    load_masked_lm(folder)  # refuses a folder that lacks weights; Sentence Transformers would make them up
    local = {"trust_remote_code": False, "local_files_only": True}
    body = Transformer(
        str(folder),
        transformer_task="fill-mask",
        max_seq_length=max_length,
        model_kwargs=local,
        processor_kwargs=local,
        config_kwargs=local,
    )
    positions = longest(body)
    if positions is not None and max_length > positions:
        raise InputError(f"max_length: expected at most {positions}, the positions of {folder}")
    if dropout is not None:
        for module in body.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    device = "cuda" if torch.cuda.is_available() else "cpu"
    modules = [body, SpladePooling("max")]
    model = SparseEncoder(modules=modules, device=device, similarity_fn_name="dot", trust_remote_code=False)
    return model if stock else accelerate(model, threads)


def longest(model: SparseEncoder | Transformer) -> int | None:
    """Return the number of positions that a model has embeddings for; None if it needs none.

    Of a model with static queries, those are counted of the documents' side.
    """
    body = model[0] if isinstance(model, SparseEncoder) else model
    if isinstance(body, Router):
        body = next(body.sub_modules["document"].children())
    return getattr(body.config, "max_position_embeddings", None)


class SpladeTrainer(SparseEncoderTrainer):
    """Logs active terms beside the parts of the loss."""

    def __init__(
        self,
        query_terms: GlobalFlops,
        document_terms: GlobalFlops,
        held_out: SparseInformationRetrievalEvaluator | None,
        **settings: Any,
    ) -> None:
        self.query_terms, self.document_terms, self.held_out = query_terms, document_terms, held_out
        super().__init__(evaluator=held_out, **settings)

    def track_loss_components(self, loss: dict[str, torch.Tensor]) -> None:
        """Add what the regularisers counted in this step."""
        counted = {
            "query_active_terms": self.query_terms.active_terms,
            "document_active_terms": self.document_terms.active_terms,
        }
        super().track_loss_components({**loss, **counted})

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Do nothing: the card is this project's own, and the library's would gather examples for another."""


class TrainingLog(TrainerCallback):
    """Writes what is logged as JSON lines, tells it on stderr, and warns of active terms that leave the sane
    band.

    ``seconds`` of a line counts the training's time, that before an interruption included.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warned: set[str] = set()
        self.started = time.perf_counter()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Drop the lines of steps after the checkpoint that the training goes on from."""
        lines = read_log(self.path) if self.path.is_file() and state.global_step else []
        kept = [line for line in lines if line["step"] <= state.global_step]
        if state.is_world_process_zero:
            write_text(self.path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self.started = time.perf_counter() - (kept[-1]["seconds"] if kept else 0)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Record one line."""
        if not state.is_world_process_zero or logs is None:
            return
        with open(self.path, "a", encoding="utf-8") as file:
            seconds = round(time.perf_counter() - self.started, 2)
            file.write(json.dumps({"step": state.global_step, "seconds": seconds, **logs}) + "\n")
        if "base_loss" in logs:
            note(
                f"step {state.global_step}/{state.max_steps}: ranking {logs['base_loss']:.3f}, "
                f"regularisers {logs['query_regularizer_loss']:.3f} + "
                f"{logs['document_regularizer_loss']:.3f}, active terms "
                f"{logs['query_active_terms']:.0f} a query, {logs['document_active_terms']:.0f} a document"
            )
        elif METRIC in logs:
            note(f"step {state.global_step}/{state.max_steps}: RR@10 {logs[METRIC]:.4f} on held-out queries")
        for part, (least, most) in SANE_TERMS.items():
            active = logs.get(f"{part}_active_terms")
            if active is not None and not least <= active <= most and part not in self.warned:
                self.warned.add(part)
                weight = f"{part}_regularizer_weight"
                cure = f"raise {weight}" if active > most else f"lower {weight} or the learning rate"
                note(f"warning: {active:.0f} active terms a {part}, outside {least} to {most}; {cure}")


def read_log(path: Path) -> list[dict[str, float]]:
    """Return the lines of a training log, without one that a killed process wrote half of."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def base_is_best(state: TrainerState) -> str | None:
    """Return, in a sentence, that no checkpoint beats the base on the held-out queries; None if one does."""
    measured = [line[METRIC] for line in state.log_history if METRIC in line and not line["step"]]
    if not measured or state.best_metric is None or state.best_metric > measured[0]:
        return None
    return (
        f"no checkpoint beats the base on the held-out queries: RR@10 {measured[0]:.4f} before training, "
        f"{state.best_metric:.4f} at best; take the base, or a recipe with averages, which may keep it"
    )


def make_trainer(
    model: SparseEncoder,
    recipe: Recipe,
    settings: Settings,
    rows: "Dataset",
    task: RetrievalTask | None,
    folder: Path,
    report_to: str = "none",
    log_every: int | None = None,
) -> SpladeTrainer:
    """Return a trainer that leaves checkpoints in ``folder``; ``task`` chooses the best one (None: the last).

    ``report_to`` is a tracker that transformers knows, ``log_every`` a number of steps. InputError for a
    schedule or an optimiser that transformers does not know.
    """
    try:
        arguments = _arguments(recipe, settings, len(rows), bool(task), folder, report_to, log_every)
        if recipe.query_encoder != MODEL:
            route_columns(arguments, rows.column_names, recipe.query_encoder == STATIC_LEARNED)
    except ValueError as error:  # a schedule or an optimiser that transformers does not know
        raise InputError(f"recipe {recipe.name}: {str(error).splitlines()[0]}") from error
    query_terms, document_terms = GlobalFlops(model), GlobalFlops(model)
    loss = SpladeLoss(
        model,
        Distillation(model, recipe.loss, settings.temperature, recipe.in_batch),
        document_regularizer_weight=recipe.document_regularizer_weight,
        query_regularizer_weight=recipe.query_regularizer_weight,
        document_regularizer=document_terms,
        query_regularizer=query_terms,
    )
    regulariser: TrainerCallback = SpladeRegularizerWeightSchedulerCallback(loss)
    if settings.query_terms and settings.document_terms:
        regulariser = ActiveTermsController(loss, settings.query_terms, settings.document_terms)
    trainer = SpladeTrainer(
        query_terms,
        document_terms,
        _evaluator(task) if task else None,
        model=model,
        args=arguments,
        train_dataset=rows,
        loss=loss,
        callbacks=[regulariser, TrainingLog(folder / LOG)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _evaluator(task: RetrievalTask) -> SparseInformationRetrievalEvaluator:
    return SparseInformationRetrievalEvaluator(
        *task,
        mrr_at_k=[10],
        ndcg_at_k=[10],
        accuracy_at_k=[10],
        precision_recall_at_k=[10],
        map_at_k=[10],
        name=HELD_OUT,
        batch_size=64,
        show_progress_bar=False,
        write_csv=False,
    )


def _arguments(
    recipe: Recipe,
    settings: Settings,
    rows: int,
    evaluated: bool,
    folder: Path,
    report_to: str,
    log_every: int | None,
) -> SparseEncoderTrainingArguments:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.batch_size % processes:
        raise InputError(f"batch_size: {recipe.batch_size} is not divisible by {processes} processes")
    steps = math.ceil(math.ceil(rows / recipe.batch_size) * settings.epochs)
    every = max(1, steps // recipe.evaluations)
    arguments = SparseEncoderTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=recipe.batch_size // processes,
        per_device_eval_batch_size=64,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=round(recipe.warmup_ratio * steps),
        optim=recipe.optimizer,
        fp16=recipe.fp16 and torch.cuda.is_available(),
        seed=recipe.seed,
        logging_steps=log_every or max(1, every // 5),
        eval_strategy="steps" if evaluated else "no",
        eval_steps=every,
        eval_on_start=evaluated,  # what the base does without any training
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=evaluated,
        metric_for_best_model=METRIC if evaluated else None,
        greater_is_better=True if evaluated else None,
        report_to=report_to,
        disable_tqdm=not sys.stderr.isatty(),
        use_cpu=not torch.cuda.is_available(),
        ddp_backend="gloo" if processes > 1 and not torch.cuda.is_available() else None,
    )
    if arguments.n_gpu > 1:  # the library would copy the modules to every GPU, without our head
        note("training on one GPU; start it with torchrun to use all")
        arguments._n_gpu = 1
    return arguments
