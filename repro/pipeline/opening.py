"""From options to a system's artifacts: the collection opened and read through once, the weights found."""

from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.cli.options import CollectionOptions, RunsOptions, SystemOptions, WorkOptions
from repro.collections.model import Collection
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, scan_corpus
from repro.engines import ENGINES
from repro.models.systems import System, find_system, located
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


def find_weights(system: System, work: Path, download: bool = True) -> tuple[System, Weights | None]:
    """Return a system under the name that its weights give it in ``work``, and these; or NoWeights."""
    if not ENGINES[system.kind].encodes:
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
    named, weights = find_weights(system, work.work, download)
    return SystemArtifacts(corpus.collection, corpus.summary, named, weights, work.work, runs.runs, options)


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
