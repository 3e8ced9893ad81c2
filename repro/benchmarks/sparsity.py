"""What the regularisers' weights of a recipe do: the same training with several of them, effectiveness beside
active terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import read_json
from repro.base.progress import track
from repro.cli.options import CollectionOptions, RunsOptions, SystemOption, WorkOptions
from repro.cli.stages import stage
from repro.cli.training_options import TrainingOptions
from repro.collections.opening import open_collection
from repro.evaluation.measures import evaluate
from repro.evaluation.standards import at_level, relevance_level
from repro.formats.runs import read_queries
from repro.report.markdown import bar_chart, table
from repro.training.trainer import HELD_OUT, METRIC, read_log

MEASURE = "RR@10"
HELD_OUT_COLUMN = f"{MEASURE}, held out"


@dataclass(frozen=True)
class Trained:
    """A model: the weight of both regularisers (None: before training), and what was measured.

    ``query_terms`` and ``document_terms`` are mean active terms of a text. ``measured``: RR@10 on the
    recipe's held-out queries, then by split of the collection; the start has only the former.
    """

    weight: float | None
    query_terms: float
    document_terms: float
    measured: dict[str, float]


def sweep(
    recipe: str,
    changes: Sequence[str],
    weights: Sequence[float],
    collections: Sequence[CollectionOptions],
    work: WorkOptions,
) -> list[Trained]:
    """Train with each weight and measure the models; the start, as the first training's log has it, comes
    first.

    ``changes`` are the recipe's, KEY=VALUE. Models that are there already are not trained again. InputError
    if the recipe holds no queries out.
    """
    trained: list[Trained] = []
    for weight in track(weights, len(weights), "training", "models"):
        name = f"{Path(recipe).stem}-sparsity-{weight:g}"
        regularisers = [f"{part}_regularizer_weight={weight}" for part in ("query", "document")]
        output = work.work / "trained" / name
        training = TrainingOptions(recipe=recipe, set=[*changes, *regularisers], output=output)
        folder = Path(stage("repro.train", training, work).run())
        lines = read_log(folder / "training-log.jsonl")
        if not trained:
            trained.append(_start(lines))
        facts = (read_json(folder.with_name(f"{name}.manifest.json")) or {})["held_out"]
        measured = {HELD_OUT_COLUMN: facts[MEASURE]}
        for collection in collections:
            measured |= _measure(folder, collection, work)
        query_terms, document_terms = (facts[f"active terms a {part}"] for part in ("query", "document"))
        trained.append(Trained(weight, query_terms, document_terms, measured))
    return trained


def sparsity_table(trained: list[Trained]) -> str:
    """Render a line for each model, and a chart of the active terms."""
    columns = list(trained[-1].measured)
    lines = [
        ["before training" if model.weight is None else f"{model.weight:g}"]
        + [f"{model.query_terms:,.1f}", f"{model.document_terms:,.1f}"]
        + [f"{model.measured[column]:.4f}" if column in model.measured else "–" for column in columns]
        for model in trained
    ]
    header = ["regularisers' weight", "terms/query", "terms/doc", *columns]
    bars = {f"{model.weight:g}": model.document_terms for model in trained if model.weight is not None}
    chart = bar_chart("Active terms a document", "regularisers' weight", bars)
    return f"{table(header, lines)}\n\n{chart}"


def _start(lines: list[dict]) -> Trained:
    first = next((line for line in lines if METRIC in line and line["step"] == 0), None)
    if first is None:
        raise InputError("the recipe holds no queries out (held_out), so there is no start to compare with")
    query_terms, document_terms = (
        first[f"eval_{HELD_OUT}_{part}_active_dims"] for part in ("query", "corpus")
    )
    return Trained(None, query_terms, document_terms, {HELD_OUT_COLUMN: first[METRIC]})


def _measure(model: Path, where: CollectionOptions, work: WorkOptions) -> dict[str, float]:
    """Return the column's title, which has the measure and the split, and the figure."""
    system = SystemOption(f"splade:{model}")
    for module in ("repro.encode", "repro.index"):
        stage(module, where, system, work).run()
    runs = RunsOptions(model.with_name(f"{model.name}.runs"))
    run = Path(stage("repro.search", where, system, runs, work).run())
    collection = open_collection(where.collection, where.split)
    measures = at_level([MEASURE], relevance_level(collection.official_measures()))
    figures = evaluate(collection.qrels(), read_queries(run), measures).mean
    return {f"{measure}, {where.split or 'test'}": value for measure, value in figures.items()}
