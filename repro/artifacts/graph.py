"""Which artifacts a system has on a collection, where each lies, and what it depends on.

    <work>/encoded/<corpus>/<system>/                       documents: impact vectors, or embeddings
    <work>/encoded/<corpus>/<system>.<query set>.queries/   queries, likewise
    <work>/indexes/lucene-bm25.<corpus>/  lucene-impact.<corpus>.<system>/  faiss[-<kind>].<corpus>.<system>/
    <work>/indexes/lucene-impact.<corpus>.<system>.postings/    laid out for compiled search
    <work>/models/<system>/                                 links to the model's files
    <runs>/run.<collection>.<system>.trec                   and its manifest beside it

A system that combines others (``bm25+splade-tiny``) has a run, made of theirs, and nothing else. One that
searches another's index (``splade-doc:splade-tiny``) has queries and a run; documents, index and model are
that system's.

A stage's number in FORMATS goes up when its output changes for the same inputs; then older artifacts are made
anew. ``tests/unit/test_formats.py`` holds outputs to their numbers, so that none is forgotten.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact
from repro.cli.options import SystemOptions
from repro.collections.model import Collection, Query, queries_checksum
from repro.collections.scan import CorpusSummary
from repro.engines import ENGINES
from repro.engines.protocol import CombiningEngine, EncodingEngine, TextEngine
from repro.formats.runs import trec_tag
from repro.models.router import read_router
from repro.models.systems import System
from repro.models.weights import Weights
from repro.postings import layout

FORMATS = {"encode": 2, "index": 2, "postings": layout.FORMAT, "search": 2, "link": 1}
"""encode 2: gzip without a time, no term without a token. index 2: the version of Anserini. search 2: its
order of ties."""


@dataclass(frozen=True)
class SystemArtifacts:
    """The artifacts of one system on one collection.

    ``weights`` are those that it encodes or re-ranks with, None without a model; ``parts`` are the artifacts
    of the systems whose runs it combines; ``given`` are indexes that are searched in the place of its own.
    """

    collection: Collection
    corpus: CorpusSummary
    system: System
    weights: Weights | None
    work: Path
    runs: Path
    options: SystemOptions
    parts: tuple["SystemArtifacts", ...] = ()
    given: tuple[Artifact, ...] = ()

    @property
    def engine(self) -> TextEngine | EncodingEngine | CombiningEngine:
        """What makes and uses them."""
        return ENGINES[self.system.kind]

    @property
    def index_engine(self) -> TextEngine | EncodingEngine:
        """The engine of a system that searches an index of its own; ValueError of one that combines runs."""
        engine = self.engine
        if engine.combines:
            raise ValueError(f"{self.system.name} has no index")
        return engine

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
        return self._encoded("documents", system.indexed.name, texts)

    @cached_property
    def queries(self) -> Artifact:
        """The encoded queries."""
        part = "all-queries" if self.options.queries.all_queries else "queries"
        texts = {
            "queries": queries_checksum(self.topics),
            "max_length": self.system.query_max_length,
            "prefix": self.system.query_prefix,
        }
        if self.weighed_by_index:
            texts["index"] = self.index.fingerprint
        return self._encoded("queries", f"{self.system.name}.{self.collection.name}.{part}", texts)

    @property
    def weighed_by_index(self) -> bool:
        """Whether queries depend on the index: not those of a model that has weights of its own for them."""
        weighs = self.engine.encodes and self.engine.weighs_by_index
        return weighs and self.weights is not None and read_router(self.weights.path) is None

    @cached_property
    def index(self) -> Artifact:
        """The index that the system searches."""
        engine = self.index_engine
        of = self.system.indexed
        name = engine.index_name(self.collection.corpus, of.name, self.options)
        source = {"encoded": self.documents.fingerprint} if engine.encodes else {"corpus": self.corpus.sha256}
        inputs = {"stage": "index", "format": FORMATS["index"], "kind": of.kind, **source}
        inputs |= engine.index_inputs(self.options)
        return Artifact(
            self.work / "indexes" / name,
            inputs,
            facts=("counts", "built", "bytes"),
            unreadable=lambda manifest: engine.unreadable(manifest.get("written_by", {})),
        )

    @cached_property
    def postings(self) -> Artifact | None:
        """The index's postings as compiled code searches them, which need not be there.

        None for a system whose index has no impacts.
        """
        engine = self.engine
        if engine.combines or not engine.has_impacts:
            return None
        return postings_of(self.index)

    @property
    def searched(self) -> tuple[Artifact, ...]:
        """The indexes that a run comes from: those that were given, or the system's own."""
        return self.given or (self.index,)

    @cached_property
    def run(self) -> Artifact:
        """The run file."""
        search = self.options.search
        inputs = {
            "stage": "search",
            "format": FORMATS["search"],
            **self._searched(),
            "hits": search.hits,
            "ties": search.ties,
            "tag": self.tag,
            **self.engine.search_inputs(self.options),
        }
        path = self.runs / f"run.{self.collection.name}.{self.system.name}.trec"
        return Artifact(path, inputs, single_file=True, facts=("counts", "queries_per_second"))

    def _searched(self) -> dict[str, Any]:
        """Return what a run comes from: an index and queries, or the parts' runs and a model."""
        if self.engine.combines:
            weights = {"weights": self.weights.sha256} if self.weights else {}
            return {"runs": [part.run.fingerprint for part in self.parts], **weights}
        queries = self.queries.fingerprint if self.engine.encodes else queries_checksum(self.topics)
        if self.given:
            return {"indexes": [index.fingerprint for index in self.given], "queries": queries}
        return {"index": self.index.fingerprint, "queries": queries}

    @property
    def tag(self) -> str:
        """The run's last column."""
        return self.options.tag.tag or trec_tag(self.system.name)

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
        return Artifact(self.work / "models" / self.system.indexed.name, inputs)

    def chain(self) -> list[Artifact]:
        """Return all that the run is made from, and the run, in the order of their making."""
        if self.engine.combines:
            parts = itertools.chain.from_iterable(part.chain() for part in self.parts)
            return [*parts, self.run]
        if not self.engine.encodes:
            return [self.index, self.run]
        encoded = [self.index, self.queries] if self.engine.weighs_by_index else [self.queries, self.index]
        return [self.documents, *encoded, self.run]

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


def postings_of(index: Artifact) -> Artifact:
    """Return the postings that lie, or may lie, beside an index of impacts."""
    inputs = {"stage": "postings", "format": FORMATS["postings"], "index": index.fingerprint}
    return Artifact(index.path.with_name(f"{index.path.name}.postings"), inputs, facts=("counts", "bytes"))
