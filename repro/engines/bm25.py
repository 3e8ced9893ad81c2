"""BM25 over texts: Anserini's analysis and indexer, this project's batches of Lucene's search."""

import dataclasses
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from repro.cli.options import Bm25Options, IndexingOptions, SearchOptions, SystemOptions
from repro.collections.model import Document, Query
from repro.engines.lucene import LuceneIndexes, lucene_settings
from repro.engines.protocol import IndexRequest, Results, SearchRequest


class Bm25Engine(LuceneIndexes):
    """Nothing is encoded; the index holds the collection's texts and serves any k1 and b."""

    kind = "bm25"
    encodes: Literal[False] = False
    combines: Literal[False] = False
    options: tuple[type, ...] = (Bm25Options, SearchOptions)

    def index_name(self, corpus: str, system: str, options: SystemOptions) -> str:
        """Return the folder's name, without the system's: all settings of BM25 share one index."""
        return f"lucene-bm25.{corpus}"

    def index_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return Anserini's version, whose analyser decides the terms."""
        from repro.lucene.java import anserini_jar

        return {"analyser": anserini_jar().name.removesuffix("-fatjar.jar")}

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return BM25's parameters."""
        return dataclasses.asdict(options.bm25)

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return the manifest's record; the indexer is Anserini's, always."""
        return {"indexer": "anserini", **super().built(building)}

    def build_index(
        self, documents: Iterable[Document], request: IndexRequest, folder: Path
    ) -> dict[str, int]:
        """Index the texts."""
        from repro.lucene.indexing import build_bm25_index

        return build_bm25_index(documents, folder, request.count, lucene_settings(request))

    def search(self, queries: Sequence[Query], request: SearchRequest, stack: ExitStack) -> Results:
        """Search with the texts of the queries."""
        from repro.lucene.searching import BatchSearcher

        options = request.options
        bm25 = (options.bm25.k1, options.bm25.b)
        searcher = BatchSearcher(request.index, request.threads, bm25, ties=options.search.ties)
        return stack.enter_context(searcher).search_all(queries, options.search.hits)
