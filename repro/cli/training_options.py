"""The options of distillation and training."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from repro.cli.parsing import number, option, positive


@dataclass(frozen=True)
class DistillationOptions:
    """What distillation data are made of."""

    teacher: str = option(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "a cross-encoder (folder or Hub name) or dense:<model> (default: "
        "cross-encoder/ms-marco-MiniLM-L6-v2)",
    )
    negatives_from: str = option(
        "bm25", "systems of the table or run files that rank the candidates (default: bm25)", metavar="A,B"
    )
    depth: int = option(100, "candidates of a query (default: 100)", type=positive("depth"), metavar="N")
    positives: int = option(
        1, "rows of a query, a relevant document each (default: 1)", type=positive("positives"), metavar="N"
    )
    seed: int = option(42, "of the draw of negatives (default: 42)", type=int)
    shard_size: int = option(
        1024,
        "rows in a part; whole parts are kept when the work is interrupted (default: 1024)",
        type=positive("shard-size"),
        metavar="N",
    )
    limit: int | None = option(None, "only the first N queries", type=positive("limit"), metavar="N")
    output: Path | None = option(None, "folder (default: <work>/distilled/<collection>.<teacher>)", type=Path)


@dataclass(frozen=True)
class TrainingOptions:
    """What is trained, and how it is watched and kept; the recipe decides the rest."""

    recipe: str | None = option(None, "splade-tiny, splade-mini, splade-small, sample, or a file")
    mlm: str | None = option(
        None,
        "pretrain a masked language model from random weights on this collection's texts",
        metavar="C",
    )
    shape: str = option("tiny", "of --mlm: BERT's (default: tiny)", choices=("tiny", "mini", "small"))
    minutes: float = option(5.0, "of --mlm (default: 5)", type=number("minutes", 0, math.inf, above=True))
    set: list[str] = field(
        default_factory=list,
        metadata={"help": "change entries of the recipe", "nargs": "+", "metavar": "KEY=VALUE"},
    )
    output: Path | None = option(None, "the model's folder (default: <work>/trained/<recipe>)", type=Path)
    stock: bool = option(False, "with Sentence Transformers' own modules, slower")
    report_to: str = option("none", "a tracker that transformers knows: tensorboard, wandb, ...")
    log_every: int | None = option(
        None, "steps between two lines of the log", type=positive("log-every"), metavar="STEPS"
    )
    push_to_hub: str | None = option(None, "hand the model to the Hub", metavar="OWNER/NAME")
