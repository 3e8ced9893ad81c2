"""What a benchmark was asked for: its options, whose model, and the artifacts that it reads."""

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.cli.bench_options import DENSE_SHAPES, TRAINED_SHAPES, BenchOptions
from repro.cli.options import CollectionOptions, DenseOptions, SystemOptions, WorkOptions
from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.pipeline.opening import open_artifacts

SHAPED = ("encode", "train")
"""Stages that can do with random weights."""
DEFAULT_SYSTEMS = {"splade": "splade-tiny", "dense": "all-minilm-l6-v2"}


@dataclass(frozen=True)
class BenchRequest:
    """A stage with its options. ``label`` names the model in a page; ``locks`` are held until the stage
    ends.
    """

    stage: str
    collection: CollectionOptions
    work: WorkOptions
    options: BenchOptions
    system: str
    label: str
    locks: ExitStack

    @property
    def splits(self) -> list[str | None]:
        """The splits, which --split separates by commas here."""
        return list(self.collection.split.split(",")) if self.collection.split else [None]

    @property
    def folder(self) -> Path:
        """Where benchmarks leave what they make."""
        return self.work.work / "bench"

    def takes(self, contestant: str) -> bool:
        """Tell whether --only names a contestant; without it, all are named."""
        return self.options.only is None or self.options.only in contestant

    def check_names(self, contestants: Sequence[str]) -> None:
        """Raise InputError if --only names none of the contestants."""
        if not any(map(self.takes, contestants)):
            names = "; ".join(contestants)
            raise InputError(
                f"--only {self.options.only}: no contestant's name contains it; there are {names}"
            )

    def weights(self) -> Path:
        """Return the model's folder; NoWeights if it is nowhere to be found."""
        return resolve(find_system(self.system)).path

    def artifacts(self, split: str | None, dense: DenseOptions = DenseOptions()) -> SystemArtifacts:
        """Return what the system has on a split of the collection."""
        collection = CollectionOptions(self.collection.collection, split)
        return open_artifacts(self.system, collection, self.work, SystemOptions(dense=dense))

    def reading(self, artifact: Artifact, command: str) -> Path:
        """Return where a current artifact lies, which nobody replaces meanwhile.

        InputError, naming the command that makes it, if it is not current.
        """
        if artifact.is_current():
            self.locks.enter_context(artifact.reading(self.work.wait))
        if not artifact.is_current():
            raise InputError(
                f"{artifact.path} is missing or outdated; make it with python -m repro.{command} "
                "--collection ... --system ... (same --work)"
            )
        return artifact.path

    def encoded_queries(self) -> list[Path]:
        """Return the folders of the encoded queries of all splits; InputError if one is not current."""
        every = [self.artifacts(split).queries for split in self.splits]
        return [self.reading(queries, "encode --only queries") for queries in every]


def make_request(
    stage: str, collection: CollectionOptions, work: WorkOptions, options: BenchOptions, locks: ExitStack
) -> BenchRequest:
    """Return the request, with the random model that --shape asks for; InputError for options that do not
    fit.
    """
    kinds = {"dense": ["dense"], "encode": ["splade", "dense"]}.get(stage, ["splade"])
    if options.json is not None and options.json.is_dir():
        raise InputError(f"--json {options.json}: is a folder; name a file")
    if options.shape is not None:
        if stage not in SHAPED:
            raise InputError(f"--shape is of {' and '.join(SHAPED)}; {stage} takes --system")
        if stage != "encode" and options.shape not in TRAINED_SHAPES:
            raise InputError(
                f"--shape {options.shape} is of encode; {stage} takes {', '.join(TRAINED_SHAPES)}"
            )
        kind = "dense" if options.shape in DENSE_SHAPES else "splade"
        folder = work.work / "bench" / f"{kind}-random-{options.shape}"
        _make_random_model(options.shape, collection, folder)
        return BenchRequest(stage, collection, work, options, f"{kind}:{folder}", folder.name, locks)
    system = options.system or DEFAULT_SYSTEMS[kinds[0]]
    found = find_system(system)
    if found.kind not in kinds:
        raise InputError(f"--system {system}: {stage} measures a {' or '.join(kinds)} system")
    return BenchRequest(stage, collection, work, options, system, found.name, locks)


def _make_random_model(shape: str, collection: CollectionOptions, folder: Path) -> None:
    from repro.benchmarks import shapes

    tokenizer_of = resolve(find_system("splade-tiny")).path
    if shape in shapes.DENSE:
        shapes.make_dense(shape, tokenizer_of, folder)
        return
    documents = open_collection(collection.collection, collection.split).documents()
    texts = [document.text for document in itertools.islice(documents, 32)]
    shapes.make_splade(shape, tokenizer_of, texts, folder)
