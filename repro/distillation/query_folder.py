"""Judged and drawn queries as a collection of their own, in BEIR's layout: corpus.jsonl, queries.jsonl,
qrels/train.tsv.

Its corpus is a link to that of the collection, so that what was encoded and indexed of one serves the other.
A drawn query is called ``from.<source>.<document>``, and that document is its relevant one, at grade 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.collections.beir import BeirFolder, write_qrels, write_records
from repro.collections.model import Document, Qrels, Query, judgments_checksum, queries_checksum
from repro.collections.opening import corpus_file
from repro.distillation.drawing import SHORTEST, draw
from repro.distillation.held_out import relevant
from repro.pipeline.opening import Corpus

FORMAT = 1
SPLIT = "train"


@dataclass(frozen=True)
class Judged:
    """Queries with their judgments; those ``held_out`` are in it, but no row is made of them."""

    queries: list[Query]
    qrels: Qrels
    held_out: frozenset[str]

    def tested(self) -> frozenset[str]:
        """Return the documents that are relevant to a query that is held out."""
        return relevant({query: judged for query, judged in self.qrels.items() if query in self.held_out})

    def trained(self) -> int:
        """Return how many queries are left to distil: those with a document that may be a positive."""
        tested = self.tested()
        return sum(
            query not in self.held_out and not relevant({query: judged}) <= tested
            for query, judged in self.qrels.items()
        )


def query_folder(
    path: Path, corpus: Corpus, judged: Judged, sources: list[str], rows: int, seed: int, wait: bool
) -> Artifact:
    """Make the folder ``path`` unless it is current: ``judged`` queries, and what is drawn from ``sources``
    until there are ``rows`` to distil.

    Nothing is drawn from documents that are relevant to a query that is held out. InputError if there is no
    text to draw from.
    """
    source = corpus.collection.source
    link = corpus_file(source.folder) if isinstance(source, BeirFolder) else None
    if not isinstance(source, BeirFolder) or link is None:
        raise ValueError(f"{corpus.collection.name} is no folder in BEIR's layout")
    number = max(0, rows - judged.trained())
    inputs = {
        "stage": "draw",
        "format": FORMAT,
        "corpus": corpus.summary.sha256,
        "texts": str(link),
        "queries": queries_checksum(judged.queries),
        "qrels": judgments_checksum(judged.qrels),
        "held_out": sorted(judged.held_out),
        "sources": sources,
        "rows": rows,
        "seed": seed,
    }
    artifact = Artifact(path, inputs)
    if artifact.is_current():  # else it would be waited for while another process reads it
        return artifact
    with artifact.making(wait):
        if not artifact.is_current():
            documents = partial(_tracked, source, corpus.summary.documents)
            drawn = draw(documents, sources, number, seed, judged.tested(), judged.queries)
            if not drawn and not judged.trained():
                raise InputError(
                    f"{corpus.collection.corpus}: no query can be drawn from its {' and '.join(sources)}; "
                    f"expected texts of {SHORTEST} words or more, with blanks between them"
                )
            if len(drawn) < number:
                note(f"{path}: {len(drawn):,} queries are drawn, not {number:,}: the texts give no more")
            folder = artifact.begin()
            (folder / link.name).symlink_to(link)
            queries = [*judged.queries, *(each.query for each in drawn)]
            write_records(folder / "queries.jsonl", ({"_id": q.id, "text": q.text} for q in queries))
            own = {each.query.id: {each.document: 1} for each in drawn}
            write_qrels(folder / "qrels" / f"{SPLIT}.tsv", judged.qrels | own)
            artifact.finish(folder, counts={"judged": len(judged.queries), "drawn": len(drawn)})
    return artifact


def _tracked(source: BeirFolder, total: int) -> Iterator[tuple[str, Document]]:
    return track(source.titled_documents(), total, "drawing queries", "documents")
