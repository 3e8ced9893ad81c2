"""A row of the table: what it was measured on, and where other tools find what its run is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.cli.options import SystemOptions
from repro.engines import ENGINES
from repro.exporting.topic_sets import Measured
from repro.models.systems import System


@dataclass(frozen=True)
class Row:
    """A system under its final name; for each query set its artifacts, None without weights, and what was
    measured, None if nothing was.

    Index, model and encoded documents lie where the artifacts do; without weights, where they will lie.
    """

    system: System
    corpus: str
    work: Path
    options: SystemOptions
    artifacts: Sequence[SystemArtifacts | None]
    measured: Sequence[Measured | None]

    @property
    def index(self) -> Path:
        """The index; ValueError for a system that combines runs."""
        if of := self.artifacts[0]:
            return of.index.path
        engine = ENGINES[self.system.kind]
        if engine.combines:
            raise ValueError(f"{self.system.name} has no index")
        return self.work / "indexes" / engine.index_name(self.corpus, self.system.indexed.name, self.options)

    @property
    def model(self) -> Path:
        """The links to the model's files."""
        of = self.artifacts[0]
        return of.model.path if of else self.work / "models" / self.system.indexed.name

    @property
    def documents(self) -> Path:
        """The encoded documents."""
        of = self.artifacts[0]
        return of.documents.path if of else self.work / "encoded" / self.corpus / self.system.indexed.name
