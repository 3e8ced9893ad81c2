"""Judged queries that are set aside, and the collection of their own that they become: what a model that is
adapted to a collection is measured on before it is chosen.
"""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import flush, remove
from repro.base.progress import note, track
from repro.collections.beir import write_qrels, write_records
from repro.collections.model import Qrels, Query
from repro.pipeline.opening import Corpus

FOLDER = "held-out"
"""Inside the distillation data; in BEIR's layout, split ``test``."""


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
    runs: Iterable[Mapping[str, list[str]]],
    depth: int,
) -> None:
    """Write the folder of the queries ``held_out``, unless it is there.

    Its corpus is their pool: what is judged for them, and what each run ranks in its first ``depth``. The
    folder gets its name when it is whole.
    """
    folder, partial = parent / FOLDER, parent / f"{FOLDER}.partial"
    if folder.is_dir():
        return
    remove(partial)  # of a process that was killed while it wrote it
    partial.mkdir()
    collection = corpus.collection
    qrels = {query: judged for query, judged in collection.qrels().items() if query in held_out}
    pool = {docid for judged in qrels.values() for docid in judged}
    for run in runs:
        pool.update(docid for query in held_out for docid in run.get(query, [])[:depth])
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
