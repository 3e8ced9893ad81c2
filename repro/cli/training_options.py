"""The options of distillation and training."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.parsing import number, option, positive

JUDGMENTS = "judgments"
QUERY_SOURCES = (JUDGMENTS, "titles", "passages")
"""Whence the queries of distillation data may come; all but the first are drawn from the texts."""


def query_sources(text: str) -> tuple[str, ...]:
    """Parse --queries-from; InputError for a source that is none, or one that occurs twice."""
    sources = tuple(part.strip() for part in text.split(","))
    if not set(sources) <= set(QUERY_SOURCES) or len(set(sources)) < len(sources):
        raise InputError(
            f"--queries-from {text}: expected one or more of {', '.join(QUERY_SOURCES)}, each once, with "
            "commas between them"
        )
    return tuple(source for source in QUERY_SOURCES if source in sources)


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
    negatives: int = option(
        8,
        "negatives of a row (default: 8, as the published data have)",
        type=positive("negatives"),
        metavar="N",
    )
    queries_from: tuple[str, ...] = option(
        ("judgments",),
        "judgments (the judged queries), titles (or first sentences, taken for queries), passages (spans of "
        "them, likewise) (default: judgments)",
        type=query_sources,
        metavar="A,B",
    )
    rows: int | None = option(
        None,
        "queries in all that titles or passages fill up to (default: 2,400)",
        type=positive("rows"),
        metavar="N",
    )
    bm25: bool = option(False, "BM25's margins, too, in a column of their own")
    held_out: int = option(
        0,
        "judged queries set aside, with their judgments and all candidates, as a collection of their own in "
        "<output>/held-out (default: 0)",
        type=positive("held-out", least=0),
        metavar="N",
    )
    seed: int = option(42, "of all that is drawn (default: 42)", type=int)
    shard_size: int = option(
        1024,
        "rows in a part; whole parts are kept when the work is interrupted (default: 1024)",
        type=positive("shard-size"),
        metavar="N",
    )
    limit: int | None = option(None, "only the first N queries", type=positive("limit"), metavar="N")
    output: Path | None = option(
        None,
        "folder (default: <work>/distilled/<collection>.<teacher>, with what other queries were asked for)",
        type=Path,
    )


@dataclass(frozen=True)
class TrainingOptions:
    """What is trained, and how it is watched and kept; the recipe decides the rest."""

    recipe: str | None = option(None, "splade-tiny, splade-mini, splade-small, adapt, sample, or a file")
    adapt: str | None = option(
        None, "adapt splade-tiny (or --set base=...) to this collection: the recipe adapt on it", metavar="C"
    )
    split: str | None = option(
        None, "of --adapt: whose queries are learned from, qrels/<split>.tsv (default: train)", metavar="S"
    )
    queries_from: tuple[str, ...] | None = option(
        None,
        "of --adapt: judgments (judged queries), titles, passages (drawn from the texts), or several, as in "
        "repro.distill",
        type=query_sources,
        metavar="A,B",
    )
    teacher: str | None = option(
        None, "of --adapt: a cross-encoder (folder or Hub name) or dense:<model>", metavar="T"
    )
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
