"""Where every artifact lies and what it depends on: the one place that all stages and the table ask.

    <work>/encoded/<corpus>/<system>/            documents: impact vectors, or embeddings
    <work>/encoded/<corpus>/<system>.<query set>/    queries, likewise
    <work>/indexes/lucene-bm25.<corpus>/  lucene-impact.<corpus>.<system>/  faiss[-<kind>].<corpus>.<system>/
    <runs>/run.<collection>.<system>.trec        and its manifest beside it

A stage's FORMAT goes up when its output changes for the same inputs; then older artifacts are made anew.
"""

from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.collections.model import Collection, queries_checksum
from repro.collections.scan import CorpusSummary
from repro.models.systems import System
from repro.models.weights import Weights

ENCODE_FORMAT = 1
INDEX_FORMAT = 1
SEARCH_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """The artifacts of one system on one collection. ``weights`` is None for BM25."""

    collection: Collection
    corpus: CorpusSummary
    system: System
    weights: Weights | None
    work: Path
    runs: Path
    scale: float
    precision: str
    k1: float
    b: float
    hits: int
    judged_only: bool = True
    faiss: str = "flat"
    max_query_terms: int | None = None

    @property
    def documents(self) -> Artifact:
        """The encoded corpus of a splade or dense system."""
        inputs = {
            "stage": "encode documents",
            "format": ENCODE_FORMAT,
            "corpus": self.corpus.sha256,
            "max_length": self.system.max_length,
            "prefix": self.system.passage_prefix,
            **self._model(),
        }
        return Artifact(self.work / "encoded" / self.collection.corpus / self.system.name, inputs)

    @property
    def queries(self) -> Artifact:
        """The encoded queries of a splade or dense system."""
        inputs = {
            "stage": "encode queries",
            "format": ENCODE_FORMAT,
            "queries": queries_checksum(self.collection.queries(self.judged_only)),
            "max_length": self.system.query_max_length,
            "prefix": self.system.query_prefix,
            **self._model(),
        }
        part = "queries" if self.judged_only else "all-queries"
        name = f"{self.system.name}.{self.collection.name}.{part}"
        return Artifact(self.work / "encoded" / self.collection.corpus / name, inputs)

    @property
    def index(self) -> Artifact:
        """The index that the system searches."""
        corpus, system = self.collection.corpus, self.system.name
        inputs = {"stage": "index", "format": INDEX_FORMAT, "kind": self.system.kind}
        if self.system.kind == "bm25":
            return Artifact(
                self.work / "indexes" / f"lucene-bm25.{corpus}", {**inputs, "corpus": self.corpus.sha256}
            )
        prefix = "lucene-impact" if self.system.kind == "splade" else "faiss"
        if self.system.kind == "dense" and self.faiss != "flat":
            prefix += f"-{self.faiss}"
            inputs["faiss"] = self.faiss
        path = self.work / "indexes" / f"{prefix}.{corpus}.{system}"
        return Artifact(path, {**inputs, "encoded": self.documents.fingerprint})

    @property
    def run(self) -> Artifact:
        """The run file."""
        inputs = {
            "stage": "search",
            "format": SEARCH_FORMAT,
            "index": self.index.fingerprint,
            "hits": self.hits,
        }
        if self.system.kind == "bm25":
            inputs |= {"k1": self.k1, "b": self.b}
            inputs["queries"] = queries_checksum(self.collection.queries(self.judged_only))
        else:
            inputs["queries"] = self.queries.fingerprint
        if self.system.kind == "splade" and self.max_query_terms:
            inputs["max_query_terms"] = self.max_query_terms
        path = self.runs / f"run.{self.collection.name}.{self.system.name}.trec"
        return Artifact(path, inputs, single_file=True)

    @property
    def model_link(self) -> Path:
        """A link to the weights whose name tells Pyserini that a SPLADE model lies there."""
        return self.work / "models" / self.system.name

    def _model(self) -> dict:
        model = {"weights": self.weights.sha256}
        if self.system.kind == "splade":
            # exact and float32 give the same impacts, so that either's artifacts serve both
            return {**model, "scale": self.scale, "rounded": self.precision == "bf16"}
        return {**model, "pooling": self.system.pooling, "normalise": self.system.normalise}
