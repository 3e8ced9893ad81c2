"""Dense models: texts encoded to vectors, a FAISS index, inner products."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from repro.cli.options import DenseOptions, EncodingOptions, IndexingOptions, SearchOptions, SystemOptions
from repro.engines.protocol import IndexRequest, Results, SearchRequest, ShardWriter, Text, window_on
from repro.models.systems import System
from repro.models.weights import Weights


class DenseEngine:
    """A Sentence Transformers model whose vectors FAISS indexes."""

    kind = "dense"
    encodes: Literal[True] = True
    weighs_by_index = False
    has_impacts = False
    combines: Literal[False] = False
    precisions: tuple[str, ...] = ("exact", "int8")
    options: tuple[type, ...] = (EncodingOptions, DenseOptions, SearchOptions)

    def encoded_inputs(self, system: System, options: SystemOptions) -> dict[str, Any]:
        """Return what systems.yaml prescribes of the model's pooling, and whether products are rounded.

        Of exact vectors that is not told, so that those made before there was a choice stay current.
        """
        rounded = {"precision": "int8"} if options.encoding.precision == "int8" else {}
        return {"pooling": system.pooling, "normalise": system.normalise, **rounded}

    def index_name(self, corpus: str, system: str, options: SystemOptions) -> str:
        """Return the folder's name, with the kind of index unless it is flat."""
        kind = options.dense.faiss
        return f"{'faiss' if kind == 'flat' else f'faiss-{kind}'}.{corpus}.{system}"

    def index_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return the kind of index."""
        return {"faiss": options.dense.faiss}

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return nothing: the index is all."""
        return {}

    def open_encoder(
        self,
        system: System,
        weights: Weights,
        options: SystemOptions,
        threads: int,
        index: Path | None = None,
    ) -> ShardWriter:
        """Load the model."""
        return DenseWriter(system, weights, threads, options.encoding.precision == "int8")

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return nothing: the options are of Lucene indexes."""
        return {}

    def written_by(self) -> dict[str, str]:
        """Return nothing: all versions of FAISS that can be installed read the same files."""
        return {}

    def unreadable(self, written_by: dict[str, str]) -> str | None:
        """Return nothing, as above."""
        return None

    def join(self, shares: Sequence[Path], folder: Path) -> None:
        """Copy the vectors into one file, which is what a flat index links to."""
        from repro.formats.embeddings import read_embeddings
        from repro.formats.flat_vectors import append_batches

        append_batches(folder, (batch for share in shares for batch in read_embeddings(share)))

    def build_index(self, encoded: Path, request: IndexRequest, folder: Path) -> dict[str, int]:
        """Index the vectors."""
        from repro.dense.indexing import build_index

        return build_index(encoded, folder, request.options.dense.faiss, request.threads, request.count)

    def search(self, encoded: Path, request: SearchRequest, stack: ExitStack) -> Results:
        """Search with the encoded queries."""
        from repro.dense.searching import DenseSearcher

        search = request.options.search
        searcher = DenseSearcher(request.index, request.threads, ties=search.ties)
        return searcher.search_all(encoded, search.hits)


class DenseWriter:
    """A loaded dense model that writes embeddings."""

    def __init__(self, system: System, weights: Weights, threads: int, int8: bool = False) -> None:
        from repro.compiled import native
        from repro.dense.encoder import DenseEncoder

        self.encoder, kernels = DenseEncoder(weights.path, system, threads, int8), native.kernels()
        self.parameters = self.encoder.parameters
        level = kernels.level if kernels and self.encoder.compiled else "none"
        self.settings: dict[str, str] = {"precision": "int8" if int8 else "exact", "kernels": level}
        self.window = window_on(self.encoder.model.device.type)

    def files(self, folder: Path, number: int) -> list[Path]:
        """Return the vectors and ids of all shards."""
        from repro.formats.flat_vectors import flat_files

        return flat_files(folder)

    def keep(self, folder: Path, texts: int) -> bool:
        """Cut off what a killed process wrote of a shard that is not listed."""
        from repro.formats.flat_vectors import keep

        return keep(folder, texts)

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict[str, int]:
        """Write one shard of float32 vectors behind those before it, chunk after chunk; return its counts."""
        from repro.formats.flat_vectors import append_batches

        encode = self.encoder.encode_documents if part == "documents" else self.encoder.encode_queries
        batches = (([identifier for identifier, _ in c], encode([text for _, text in c])) for c in chunks)
        texts, dimensions = append_batches(folder, batches)
        return {"texts": texts, "dimensions": dimensions}
