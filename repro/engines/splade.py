"""SPLADE: texts encoded to impact vectors, a Lucene index of impacts, exact dot products.

``splade-doc`` searches the same index of the same vectors with queries that are no more than their own
tokens.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repro.base.files import link_or_copy
from repro.cli.options import EncodingOptions, IndexingOptions, SearchOptions, SystemOptions
from repro.engines.lucene import LuceneIndexes, lucene_settings
from repro.engines.protocol import (
    WINDOW,
    IndexRequest,
    Results,
    SearchRequest,
    ShardWriter,
    Text,
    window_on,
)
from repro.formats.impact_vectors import ImpactVector, read_vectors, shard_path, strongest, write_shard
from repro.models.systems import System
from repro.models.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from repro.splade.term_encoder import TermEncoder


class SpladeEngine(LuceneIndexes):
    """A masked language model whose impacts Lucene indexes."""

    kind = "splade"
    encodes: Literal[True] = True
    weighs_by_index = False
    has_impacts = True
    combines: Literal[False] = False
    precisions: tuple[str, ...] = ("exact", "float32", "bf16")
    options: tuple[type, ...] = (EncodingOptions, SearchOptions)

    def encoded_inputs(self, system: System, options: SystemOptions) -> dict[str, Any]:
        """Return the scale and whether products are rounded; exact and float32 give the same impacts."""
        return {"scale": options.encoding.scale, "rounded": options.encoding.precision == "bf16"}

    def index_name(self, corpus: str, system: str, options: SystemOptions) -> str:
        """Return the folder's name."""
        return f"lucene-impact.{corpus}.{system}"

    def index_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return nothing: impacts go into the index as they are."""
        return {}

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return the number of terms that queries are cut to, if they are."""
        terms = options.search.max_query_terms
        return {"max_query_terms": terms} if terms else {}

    def open_encoder(
        self,
        system: System,
        weights: Weights,
        options: SystemOptions,
        threads: int,
        index: Path | None = None,
    ) -> ShardWriter:
        """Load the model."""
        return SpladeWriter(system, weights, options.encoding, threads)

    def join(self, shares: Sequence[Path], folder: Path) -> None:
        """Link the shards."""
        for path in (path for share in shares for path in sorted(share.iterdir())):
            link_or_copy(path, folder / path.name)

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return the manifest's record."""
        return {"indexer": building.indexer or "repro", **super().built(building)}

    def build_index(self, encoded: Path, request: IndexRequest, folder: Path) -> dict[str, int]:
        """Index the impact vectors with this project's indexer, or with Anserini's."""
        from repro.lucene import indexing

        settings = lucene_settings(request)
        if request.building.indexer == "anserini":
            return indexing.build_impact_index_with_anserini(encoded, folder, request.count, settings)
        return indexing.build_impact_index(encoded, folder, request.count, settings, request.manifest)

    def search(self, encoded: Path, request: SearchRequest, stack: ExitStack) -> Results:
        """Search with the encoded queries: the postings if they are laid out, else the index."""
        from repro.lucene.searching import BatchSearcher, impact_query
        from repro.postings.searching import PostingsSearcher

        search, threads = request.options.search, request.threads
        searcher: BatchSearcher | PostingsSearcher
        if request.postings is not None:
            searcher = stack.enter_context(PostingsSearcher(request.postings, threads, ties=search.ties))
        else:
            searcher = stack.enter_context(BatchSearcher(request.index, threads, ties=search.ties))
        vectors = read_vectors(encoded)
        queries = ((v.id, impact_query(strongest(v.vector, search.max_query_terms))) for v in vectors)
        return searcher.search_all(queries, search.hits)


class SpladeDocEngine(SpladeEngine):
    """Queries are their own tokens with static weights: the index's idf, or what the model's folder has."""

    kind = "splade-doc"
    weighs_by_index = True

    def open_encoder(
        self,
        system: System,
        weights: Weights,
        options: SystemOptions,
        threads: int,
        index: Path | None = None,
    ) -> ShardWriter:
        """Load the model; with an ``index``, for queries, the tokenizer and the weights of its tokens."""
        if index is None:
            return super().open_encoder(system, weights, options, threads)
        from repro.splade.static_queries import StaticQueryEncoder

        encoder = StaticQueryEncoder(weights.path, index)
        return ImpactWriter(encoder, system, options.encoding.scale, {"query weights": encoder.source})


class ImpactWriter:
    """Something that encodes texts, and writes them as impact vectors."""

    def __init__(
        self, encoder: "TermEncoder", system: System, scale: float, settings: dict[str, str]
    ) -> None:
        self.encoder, self.scale, self.settings = encoder, scale, settings
        self.lengths = {"documents": system.max_length, "queries": system.query_max_length}
        self.prefixes = {"documents": system.passage_prefix, "queries": system.query_prefix}
        self.parameters, self.window = encoder.parameters, WINDOW

    def files(self, folder: Path, number: int) -> list[Path]:
        """Return the shard's file."""
        return [shard_path(folder, number)]

    def keep(self, folder: Path, texts: int) -> bool:
        """Do nothing: each shard has a file of its own."""
        return True

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict[str, int]:
        """Write one shard; return its counts. A positive weight counts as active, before quantisation."""
        counts = {"texts": 0, "active_terms": 0, "postings": 0, "without_terms": 0}
        write_shard(shard_path(folder, number), self._vectors(chunks, part, counts))
        return counts

    def _encode(self, chunk: list[Text], part: str) -> "csr_matrix":
        return self.encoder.encode([self.prefixes[part] + text for _, text in chunk], self.lengths[part])

    def _vectors(
        self, chunks: Iterable[list[Text]], part: str, counts: dict[str, int]
    ) -> Iterator[ImpactVector]:
        for chunk, encoded in _ahead(chunks, lambda chunk: self._encode(chunk, part)):
            counts["active_terms"] += encoded.nnz
            for (identifier, text), vector in zip(chunk, self.encoder.impact_vectors(encoded, self.scale)):
                counts["texts"] += 1
                counts["postings"] += len(vector)
                counts["without_terms"] += not vector
                yield ImpactVector(identifier, text, vector)


class SpladeWriter(ImpactWriter):
    """A loaded SPLADE model that writes impact vectors."""

    def __init__(self, system: System, weights: Weights, encoding: EncodingOptions, threads: int) -> None:
        from repro.compiled import native
        from repro.splade.encoder import SpladeEncoder

        encoder, kernels = SpladeEncoder(weights.path, threads, encoding.precision), native.kernels()
        settings = {
            "precision": encoding.precision,
            "method": encoder.method,
            "kernels": kernels.level if kernels else "none",
        }
        super().__init__(encoder, system, encoding.scale, settings)
        self.window = window_on(encoder.device.type)


def _ahead(
    chunks: Iterable[list[Text]], encode: "Callable[[list[Text]], csr_matrix]"
) -> "Iterator[tuple[list[Text], csr_matrix]]":
    """Yield (chunk, what ``encode`` made of it), the next chunk being encoded while this one is written."""
    with ThreadPoolExecutor(1) as pool:
        pending = None
        for chunk in chunks:
            following = chunk, pool.submit(encode, chunk)
            if pending:
                yield pending[0], pending[1].result()
            pending = following
        if pending:
            yield pending[0], pending[1].result()
