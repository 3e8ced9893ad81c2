"""The stages of a SPLADE row, for ``killing``: encoding on real passages, all else on drawn documents."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.base.energy import UNRECORDED
from repro.base.progress import track
from repro.benchmarks.killing import Step
from repro.cli.options import (
    CollectionOptions,
    IndexingOptions,
    RunsOptions,
    SearchOptions,
    ShardOptions,
    SystemOption,
    TableOptions,
    WorkOptions,
)
from repro.cli.stages import stage
from repro.collections.beir import write_qrels, write_records
from repro.collections.model import Document, Query
from repro.formats.drawn_vectors import draw_vectors
from repro.formats.impact_vectors import ImpactVector, write_shards
from repro.pipeline.encoding import Finished, finish
from repro.pipeline.opening import open_artifacts

NAMES = ("encode", "index", "postings", "search", "table")
SHARDS = 4
"""Encoded passages are in so many shards, so that a killed process leaves some of them."""


@dataclass(frozen=True)
class Row:
    """A SPLADE row whose stages are killed. ``folder``, absolute, takes all of it."""

    folder: Path
    system: str
    hits: int
    memory: int
    threads: int

    @property
    def work(self) -> WorkOptions:
        """Where artifacts go."""
        return WorkOptions(work=self.folder / "work", threads=self.threads)

    @property
    def runs(self) -> RunsOptions:
        """Where the run goes."""
        return RunsOptions(self.folder / "runs")

    def artifacts(self, collection: CollectionOptions) -> SystemArtifacts:
        """Return what the system has on a collection."""
        return open_artifacts(self.system, collection, self.work, runs=self.runs)


def encoding(row: Row, documents: Iterable[Document], queries: Sequence[Query]) -> Step:
    """Return the step that encodes documents and queries, of which a collection is written."""
    count = write_collection(row.folder / "part", documents, queries)
    collection = CollectionOptions(str(row.folder / "part"))
    of, shards = row.artifacts(collection), ShardOptions(max(1, count // SHARDS))
    encode = stage("repro.encode", collection, SystemOption(row.system), shards, row.work)
    return Step("encode", encode, (of.documents.path, of.queries.path, of.model.path), count)


def drawn_steps(
    row: Row,
    real: Sequence[Sequence[tuple[str, int]]],
    parameters: int,
    documents: int,
    queries: Sequence[Query],
) -> list[Step]:
    """Draw a collection of so many documents from real vectors, encoded by a model of so many parameters, and
    encode the queries; return the steps that follow.
    """
    drawn = track(_draw(real, documents), documents, "drawing", "documents")
    texts = (Document(vector.id, vector.contents) for vector in drawn)
    write_collection(row.folder / "drawn", texts, queries)
    collection, system = CollectionOptions(str(row.folder / "drawn")), SystemOption(row.system)
    of = row.artifacts(collection)
    _place(of, _draw(real, documents), parameters, row.threads)
    stage("repro.encode", collection, system, "--only", "queries", row.work).run()
    building = IndexingOptions(memory=row.memory)
    postings = IndexingOptions(memory=row.memory, postings=True)
    search, tables = (
        SearchOptions(hits=row.hits),
        TableOptions(row.system, row.folder / "tables", report=False),
    )
    assert of.postings is not None  # a SPLADE index has impacts
    written = tuple(tables.tables / f"{of.collection.name}.{kind}" for kind in ("json", "csv", "md"))
    return [
        Step(name, of_name, made, documents)
        for name, of_name, made in [
            ("index", stage("repro.index", collection, system, building, row.work), (of.index.path,)),
            ("postings", stage("repro.index", collection, system, postings, row.work), (of.postings.path,)),
            ("search", stage("repro.search", collection, system, search, row.runs, row.work), (of.run.path,)),
            ("table", stage("repro.table", collection, tables, search, row.runs, row.work), written),
        ]
    ]


def _draw(real: Sequence[Sequence[tuple[str, int]]], documents: int) -> Iterator[ImpactVector]:
    """Yield drawn vectors, the same each time, with their terms as contents."""
    for vector in draw_vectors(real, documents):
        yield vector._replace(contents=" ".join(vector.vector))


def write_collection(folder: Path, documents: Iterable[Document], queries: Sequence[Query]) -> int:
    """Write a folder in BEIR's layout, each query judged with one of the documents; return their number."""
    folder.mkdir(parents=True)
    ids: list[str] = []

    def records() -> Iterator[dict[str, str]]:
        for document in documents:
            ids.append(document.id)
            yield {"_id": document.id, "title": "", "text": document.text}

    write_records(folder / "corpus.jsonl", records())
    write_records(folder / "queries.jsonl", ({"_id": query.id, "text": query.text} for query in queries))
    judged = {query.id: {ids[number % len(ids)]: 1} for number, query in enumerate(queries)}
    write_qrels(folder / "qrels" / "test.tsv", judged)
    return len(ids)


def _place(of: SystemArtifacts, vectors: Iterable[ImpactVector], parameters: int, threads: int) -> None:
    """Put vectors in the place of the encoded documents, with counts that are theirs."""
    counts: Counter[str] = Counter(texts=0, active_terms=0, postings=0, without_terms=0)

    def counted() -> Iterator[ImpactVector]:
        for vector in vectors:
            terms = len(vector.vector)
            counts.update(texts=1, active_terms=terms, postings=terms, without_terms=not terms)
            yield vector

    with of.documents.making():
        started, partial = time.perf_counter(), of.documents.begin()
        write_shards(partial, counted())
        shard = {**counts, "settings": {"method": "drawn"}}
        seconds = time.perf_counter() - started
        finished: Finished = {"shards": [shard], "seconds": seconds, "energy": UNRECORDED}
        finish("documents", of.documents, of, partial, finished, parameters, threads)
