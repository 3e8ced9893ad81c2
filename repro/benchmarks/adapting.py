"""Adapting to collections that nothing was tuned on: each is learned from and measured, beside the base and
the teacher.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import file_name
from repro.base.progress import track
from repro.benchmarks.wall_time import WallTime, run_timed
from repro.cli.bench_options import AdaptedCollection, Variant
from repro.cli.options import CollectionOptions, RunsOptions, SystemOption, WorkOptions
from repro.cli.stages import stage
from repro.cli.training_options import JUDGMENTS, TrainingOptions
from repro.collections.opening import folder_label, open_collection
from repro.evaluation.measures import Figures, evaluate
from repro.evaluation.significance import Difference, compare
from repro.evaluation.standards import at_level, relevance_level
from repro.formats.runs import read_queries
from repro.pipeline.opening import open_artifacts
from repro.training.recipe import Recipe, read_recipe
from repro.training.session import ADAPT, base_system, changes_of, teacher_system

MEASURES = ("nDCG@10", "RR@10")
"""The first decides."""


@dataclass(frozen=True)
class Measured:
    """A system on the test splits of a collection, whose queries count as one set.

    Keys of ``figures`` are MEASURES, whatever grade counts as relevant. Mean active terms of a text are None
    for a dense system.
    """

    figures: Figures
    query_terms: float | None
    document_terms: float | None


@dataclass(frozen=True)
class Adaptation:
    """A collection that was adapted to with a variant of the recipe: what that changed, by measure.

    ``teacher`` is the teacher's nDCG@10; None for a cross-encoder, which ranks no collection. ``kept`` is the
    share of the way from base to trained weights; None if the recipe chooses none; ``factors``: it is the
    base with factors for its terms. ``wall`` is None if nobody knows how long it took.
    """

    collection: str
    variant: str
    queries: int
    before: dict[str, float]
    after: dict[str, float]
    differences: dict[str, Difference]
    query_terms: tuple[float | None, float | None]
    """Before and after, as ``document_terms``."""
    document_terms: tuple[float | None, float | None]
    teacher: float | None
    kept: float | None
    wall: WallTime | None
    factors: bool = False


def adapt_all(
    collections: Sequence[AdaptedCollection],
    variants: Sequence[Variant],
    queries_from: tuple[str, ...] | None,
    work: WorkOptions,
) -> list[Adaptation]:
    """Adapt to each collection with each variant, and measure; what is current is not made again.

    InputError, before any work, if a recipe or a collection is not as it must be.
    """
    recipes = {variant.name: _recipe(variant) for variant in variants}
    for collection in collections:
        _check(collection, queries_from)
    measured = functools.cache(functools.partial(_measure, work=work))
    pairs = [(collection, variant) for collection in collections for variant in variants]
    return [
        _adapt(collection, variant, recipes[variant.name], queries_from, measured, work)
        for collection, variant in track(pairs, len(pairs), "adapting", "models")
    ]


def _recipe(variant: Variant) -> Recipe:
    recipe = read_recipe(ADAPT, changes_of(variant.changes))
    if "collection" not in recipe.data:
        raise InputError(f"--variants {variant.name}: data: expected a collection, which is then replaced")
    return recipe


def _check(collection: AdaptedCollection, queries_from: tuple[str, ...] | None) -> None:
    """Raise InputError if there is no such folder or split."""
    folder = collection.folder
    if folder != "sample" and not Path(folder).is_dir():
        raise InputError(
            f"--collections: there is no folder {folder}; give one in BEIR's layout, or sample; "
            "python -m repro.subset makes one of what ir_datasets has"
        )
    learned = queries_from is None or JUDGMENTS in queries_from
    for split in (*([collection.train] if learned else []), *collection.tests):
        open_collection(folder, split, claim=False)


def _adapt(
    collection: AdaptedCollection,
    variant: Variant,
    recipe: Recipe,
    queries_from: tuple[str, ...] | None,
    measured: Callable[[str, AdaptedCollection], Measured],
    work: WorkOptions,
) -> Adaptation:
    label = _label(collection, work)
    name = f"{label}-{file_name(collection.train)}.{variant.name}"
    model = _folder(work) / (f"{name}.{'-'.join(queries_from)}" if queries_from else name)
    training = TrainingOptions(
        adapt=collection.folder,
        split=collection.train,
        queries_from=queries_from,
        set=list(variant.changes),
        output=model,
    )
    # First, since it makes encodings that measuring needs, too: else it would seem to take less time.
    wall = run_timed(stage("repro.train", training, work), model, work.work / "distilled")
    before, after = measured(base_system(recipe), collection), measured(f"splade:{model}", collection)
    teacher = teacher_system(recipe)
    manifest = Artifact(model, {}).manifest() or {}
    return Adaptation(
        collection=f"{label}, {'+'.join(collection.tests)}",
        variant=variant.name,
        queries=len(before.figures.per_query),
        before=before.figures.mean,
        after=after.figures.mean,
        differences={name: compare(after.figures, before.figures, name) for name in MEASURES},
        query_terms=(before.query_terms, after.query_terms),
        document_terms=(before.document_terms, after.document_terms),
        teacher=measured(teacher, collection).figures.mean[MEASURES[0]] if teacher else None,
        kept=manifest.get("kept"),
        wall=wall,
        factors=manifest.get("factors", False),
    )


def _folder(work: WorkOptions) -> Path:
    """Return where models lie: not in ``trained``, whose models have rows in their collections' tables."""
    return work.work / "adapted"


def _label(collection: AdaptedCollection, work: WorkOptions) -> str:
    return "sample" if collection.folder == "sample" else folder_label(Path(collection.folder), work.work)


def _measure(system: str, collection: AdaptedCollection, work: WorkOptions) -> Measured:
    """Encode, index, search and evaluate, split by split, whatever of it is not current."""
    figures: dict[str, Figures] = {}
    queries, documents = [], []
    for split in collection.tests:
        of = _searched(system, CollectionOptions(collection.folder, split), work)
        figures[split] = _evaluate(of)
        queries.append(of.queries)
        documents = [of.documents]  # the splits have one corpus
    return Measured(pool(figures), _active_terms(queries), _active_terms(documents))


def _searched(system: str, where: CollectionOptions, work: WorkOptions) -> SystemArtifacts:
    """Return what a system has on a split, the run included, once it is made."""
    runs = RunsOptions(_folder(work) / "runs")
    of = open_artifacts(system, where, work, runs=runs)
    common = where, SystemOption(system), replace(work, force=False)  # the splits share most of it
    steps = {
        stage("repro.encode", *common): [of.documents, of.queries],
        stage("repro.index", *common): [of.index],
        stage("repro.search", *common, runs): [of.run],
    }
    for step, made in steps.items():
        if not all(artifact.is_current() for artifact in made):
            step.run()
    return of


def _evaluate(of: SystemArtifacts) -> Figures:
    """Evaluate a run; the measures have their plain names, whatever grade counts as relevant."""
    collection = of.collection
    measures = at_level(MEASURES, relevance_level(collection.official_measures()))
    found = evaluate(collection.qrels(), read_queries(of.run.path), measures)
    names = {str(measure): name for measure, name in zip(measures, MEASURES)}

    def renamed(values: dict[str, float]) -> dict[str, float]:
        return {names[measure]: value for measure, value in values.items()}

    per_query = {query: renamed(values) for query, values in found.per_query.items()}
    return Figures(renamed(found.mean), per_query, found.answered, found.unjudged)


def pool(figures: dict[str, Figures]) -> Figures:
    """Return the figures of several splits as those of one, each query under its split's name."""
    per_query = {
        f"{split} {query}": values for split, of in figures.items() for query, values in of.per_query.items()
    }
    mean = {name: sum(v[name] for v in per_query.values()) / len(per_query) for name in MEASURES}
    answered, unjudged = (sum(getattr(f, n) for f in figures.values()) for n in ("answered", "unjudged"))
    return Figures(mean, per_query, answered, unjudged)


def _active_terms(encoded: Sequence[Artifact]) -> float | None:
    """Return the mean active terms of the texts in several encodings; None if they are dense."""
    counts = [(artifact.manifest() or {})["counts"] for artifact in encoded]
    if any("active_terms" not in of for of in counts):
        return None
    return sum(of["active_terms"] for of in counts) / sum(of["texts"] for of in counts)
