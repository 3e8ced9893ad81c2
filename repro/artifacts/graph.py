"""Which artifacts a system has on a collection, where each lies, and what it depends on.

    <work>/encoded/<corpus>/<system>/                       documents: impact vectors, or embeddings
    <work>/encoded/<corpus>/<system>.<query set>.queries/   queries, likewise
    <work>/indexes/lucene-bm25.<corpus>/  lucene-impact.<corpus>.<system>/  faiss[-<kind>].<corpus>.<system>/
    <work>/models/<system>/                                 links to the model's files
    <runs>/run.<collection>.<system>.trec                   and its manifest beside it

A stage's number in FORMATS goes up when its output changes for the same inputs; then older artifacts are made
anew. ``tests/unit/test_formats.py`` holds outputs to their numbers, so that none is forgotten.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact
from repro.cli.options import SystemOptions
from repro.collections.model import Collection, Query, queries_checksum
from repro.collections.scan import CorpusSummary
from repro.engines import ENGINES
from repro.engines.protocol import EncodingEngine, TextEngine
from repro.models.systems import System
from repro.models.weights import Weights

FORMATS = {"encode": 2, "index": 2, "search": 2, "link": 1}
"""encode 2: gzip without a time, no term without a token. index 2: the version of Anserini. search 2: its
order of ties."""


@dataclass(frozen=True)
class SystemArtifacts:
    """The artifacts of one system on one collection. ``weights`` is None if the system encodes nothing."""

    collection: Collection
    corpus: CorpusSummary
    system: System
    weights: Weights | None
    work: Path
    runs: Path
    options: SystemOptions

    @property
    def engine(self) -> TextEngine | EncodingEngine:
        """What makes and uses them."""
        return ENGINES[self.system.kind]

    @cached_property
    def topics(self) -> list[Query]:
        """The queries that are searched with."""
        return self.collection.queries(judged_only=not self.options.queries.all_queries)

    @cached_property
    def documents(self) -> Artifact:
        """The encoded corpus."""
        system = self.system
        texts = {
            "corpus": self.corpus.sha256,
            "max_length": system.max_length,
            "prefix": system.passage_prefix,
        }
        return self._encoded("documents", system.name, texts)

    @cached_property
    def queries(self) -> Artifact:
        """The encoded queries."""
        part = "all-queries" if self.options.queries.all_queries else "queries"
        texts = {
            "queries": queries_checksum(self.topics),
            "max_length": self.system.query_max_length,
            "prefix": self.system.query_prefix,
        }
        return self._encoded("queries", f"{self.system.name}.{self.collection.name}.{part}", texts)

    @cached_property
    def index(self) -> Artifact:
        """The index that the system searches."""
        name = self.engine.index_name(self.collection.corpus, self.system.name, self.options)
        source = (
            {"encoded": self.documents.fingerprint} if self.engine.encodes else {"corpus": self.corpus.sha256}
        )
        inputs = {"stage": "index", "format": FORMATS["index"], "kind": self.system.kind, **source}
        inputs |= self.engine.index_inputs(self.options)
        return Artifact(
            self.work / "indexes" / name,
            inputs,
            facts=("counts", "built", "bytes"),
            unreadable=lambda manifest: self.engine.unreadable(manifest.get("written_by", {})),
        )

    @cached_property
    def run(self) -> Artifact:
        """The run file."""
        search = self.options.search
        inputs = {
            "stage": "search",
            "format": FORMATS["search"],
            "index": self.index.fingerprint,
            "queries": self.queries.fingerprint if self.engine.encodes else queries_checksum(self.topics),
            "hits": search.hits,
            "ties": search.ties,
            "tag": self.tag,
            **self.engine.search_inputs(self.options),
        }
        path = self.runs / f"run.{self.collection.name}.{self.system.name}.trec"
        return Artifact(path, inputs, single_file=True, facts=("counts", "queries_per_second"))

    @property
    def tag(self) -> str:
        """The run's last column."""
        return self.options.tag.tag or self.system.name

    @cached_property
    def model(self) -> Artifact:
        """Links to the model's files; the folder's name tells Pyserini that a SPLADE model lies there."""
        if self.weights is None:
            raise ValueError(f"{self.system.name} has no model")
        inputs = {
            "stage": "link",
            "format": FORMATS["link"],
            "weights": self.weights.sha256,
            "folder": str(self.weights.path.resolve()),
        }
        return Artifact(self.work / "models" / self.system.name, inputs)

    def chain(self) -> list[Artifact]:
        """Return all that the run is made from, and the run, in the order of their making."""
        encoded = [self.documents, self.queries] if self.engine.encodes else []
        return [*encoded, self.index, self.run]

    def _encoded(self, part: str, name: str, texts: dict[str, Any]) -> Artifact:
        if not self.engine.encodes or self.weights is None:
            raise ValueError(f"{self.system.name} encodes nothing")
        inputs = {
            "stage": f"encode {part}",
            "format": FORMATS["encode"],
            **texts,
            "weights": self.weights.sha256,
            **self.engine.encoded_inputs(self.system, self.options),
        }
        path = self.work / "encoded" / self.collection.corpus / name
        return Artifact(path, inputs, facts=("counts", "parameters", "settings"))
