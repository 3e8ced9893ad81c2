"""From options to a system's artifacts: the collection opened and read through once, the weights found."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.cli.options import CollectionOptions, RunsOptions, SystemOptions, TagOption, WorkOptions
from repro.collections.model import Collection
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, scan_corpus
from repro.models.systems import System, combination, find_system, located
from repro.models.weights import Weights, resolve


@dataclass(frozen=True)
class Corpus:
    """A collection that is open, and what reading its corpus through has found."""

    collection: Collection
    summary: CorpusSummary


def open_corpus(options: CollectionOptions, work: WorkOptions) -> Corpus:
    """Open a collection and read its corpus through, if that was not done before."""
    collection = open_collection(options.collection, options.split, work.work)
    return Corpus(collection, scan_corpus(collection, work.work, work.wait))


def open_corpora(sets: Iterable[CollectionOptions], work: WorkOptions) -> list[Corpus]:
    """Open query sets over one corpus, and read it through, if that was not done before.

    InputError before that if one of them has no judged query, or another corpus.
    """
    collections = [open_collection(of.collection, of.split, work.work) for of in sets]
    for collection in collections:
        if collection.corpus != collections[0].corpus:
            raise InputError(
                f"--topics: {collections[0].name} and {collection.name} are over different corpora "
                f"({collections[0].corpus}, {collection.corpus}); give those of one corpus"
            )
    for collection in collections:
        collection.queries()
    return [Corpus(of, scan_corpus(of, work.work, work.wait)) for of in collections]


def find_weights(system: System, work: Path, download: bool = True) -> tuple[System, Weights | None]:
    """Return a system under the name that its weights give it in ``work``, and these; or NoWeights."""
    if system.indexed.local is None and system.indexed.hub is None:
        return system, None
    weights = resolve(system, download)
    return located(system, weights, work), weights


def artifacts_of(
    system: System,
    corpus: Corpus,
    work: WorkOptions,
    options: SystemOptions = SystemOptions(),
    runs: RunsOptions = RunsOptions(),
    download: bool = True,
) -> SystemArtifacts:
    """Return the artifacts of ``system`` on an open collection; NoWeights if there are no weights."""
    of_parts = replace(options, tag=TagOption())  # a tag is of the run that is asked for
    parts = tuple(artifacts_of(part, corpus, work, of_parts, runs, download) for part in system.parts)
    if system.reranker:
        reranker, weights = find_weights(system.reranker, work.work, download)
        named = combination((parts[0].system,), reranker)
    elif parts:
        names = [part.system.name for part in parts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"--system: {'+'.join(names)} names {twice} twice; fuse systems that differ")
        named, weights = combination(tuple(part.system for part in parts)), None
    else:
        named, weights = find_weights(system, work.work, download)
    return SystemArtifacts(
        corpus.collection, corpus.summary, named, weights, work.work, runs.runs, options, parts
    )


def open_artifacts(
    system: str,
    collection: CollectionOptions,
    work: WorkOptions,
    options: SystemOptions = SystemOptions(),
    runs: RunsOptions = RunsOptions(),
) -> SystemArtifacts:
    """Return the artifacts of the system called ``system`` on the collection that the options name."""
    found = find_system(system)  # before the corpus is read: a wrong name is told at once
    return artifacts_of(found, open_corpus(collection, work), work, options, runs)
