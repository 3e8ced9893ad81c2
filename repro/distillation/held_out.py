"""Judged queries that are set aside, and the collection of their own that they become: what a model that is
adapted to a collection is measured on before it is chosen.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import flush, remove
from repro.base.progress import note, track
from repro.collections.beir import write_qrels, write_records
from repro.collections.model import Qrels, Query
from repro.pipeline.opening import Corpus

FOLDER = "held-out"
"""Inside the distillation data; in BEIR's layout, split ``test``."""
POOL, LEAST_DEPTH = 10_000, 10
"""Passages of a pool that is large enough: it is encoded once for each model to choose from. Below, and to
LEAST_DEPTH in any case, it has what runs rank best for the held-out queries.
"""


def set_aside(
    queries: list[Query], qrels: Qrels, number: int, seed: int, all_of_them: bool
) -> frozenset[str]:
    """Return the ids of ``number`` queries with a relevant document, drawn at random.

    Where there are too few it is at most half of them, or ``all_of_them``. InputError if that leaves none.
    """
    judged = sorted(query.id for query in queries if relevant({query.id: qrels[query.id]}))
    most = len(judged) if all_of_them else len(judged) // 2
    if most == 0:
        raise InputError(
            f"--held-out {number}: {len(judged):,} judged queries have a relevant document, too few to hold "
            "some out; leave it out"
        )
    if most < number:
        note(f"{most:,} queries are held out, not {number:,}: {len(judged):,} have a relevant document")
    return frozenset(random.Random(seed).sample(judged, min(most, number)))


def relevant(qrels: Qrels) -> frozenset[str]:
    """Return the documents that are judged relevant for any query."""
    return frozenset(d for judged in qrels.values() for d, grade in judged.items() if grade > 0)


def write_held_out(
    parent: Path,
    corpus: Corpus,
    held_out: frozenset[str],
    runs: Sequence[Mapping[str, list[str]]],
    depth: int,
) -> None:
    """Write the folder of the queries ``held_out``, unless it is there.

    Its corpus is their pool (``pooled``). The folder gets its name when it is whole.
    """
    folder, partial = parent / FOLDER, parent / f"{FOLDER}.partial"
    if folder.is_dir():
        return
    remove(partial)  # of a process that was killed while it wrote it
    partial.mkdir()
    collection = corpus.collection
    qrels = {query: judged for query, judged in collection.qrels().items() if query in held_out}
    pool = pooled(qrels, runs, depth)
    documents = track(collection.documents(), corpus.summary.documents, "writing held out", "documents")
    write_records(
        partial / "corpus.jsonl",
        ({"_id": d.id, "title": "", "text": d.text} for d in documents if d.id in pool),
    )
    queries = [query for query in collection.queries() if query.id in held_out]
    write_records(partial / "queries.jsonl", ({"_id": q.id, "text": q.text} for q in queries))
    write_qrels(partial / "qrels" / "test.tsv", qrels)
    flush(partial)
    partial.rename(folder)
    flush(parent, below=False)


def pooled(qrels: Qrels, runs: Sequence[Mapping[str, list[str]]], depth: int) -> set[str]:
    """Return what is judged for the queries of ``qrels``, and what each run ranks first for them, rank by
    rank down to ``depth``, or to the last rank that makes no more than POOL.
    """
    pool = {docid for judged in qrels.values() for docid in judged}
    ranked = [run.get(query, []) for run in runs for query in qrels]
    for rank in range(depth):
        more = {docids[rank] for docids in ranked if rank < len(docids)} - pool
        if rank >= LEAST_DEPTH and len(pool) + len(more) > POOL:
            break
        pool |= more
    return pool
