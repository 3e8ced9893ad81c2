"""Distillation data: hard negatives from retrievers, margins from a teacher, in the columns of the published
data.
"""

import contextlib
import glob
import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import canonical, flush, remove, sha256_file
from repro.base.progress import bar, note, track
from repro.cli.options import CollectionOptions, RunsOptions, SearchOptions, SystemOption, WorkOptions
from repro.cli.stages import stage
from repro.cli.training_options import DistillationOptions
from repro.collections.model import Document, Qrels, Query, queries_checksum
from repro.collections.texts import TextStore
from repro.engines import ENGINES
from repro.formats.runs import RankedRun
from repro.models.systems import find_system, located
from repro.pipeline.opening import Corpus, open_corpus
from repro.training.mining import NEGATIVES, Mined, candidates, mine
from repro.training.sources import unchanged, weights_of
from repro.training.teachers import Score, Teacher, load, teaching_system

FORMAT = 1
SAMPLE = 1000
"""Random documents that stand by where a query has too few candidates."""


@dataclass(frozen=True)
class Distillation:
    """What is distilled from what: an open collection with its queries and judgments, a teacher, settings."""

    corpus: Corpus
    queries: list[Query]
    qrels: Qrels
    teacher: Teacher
    hits: int
    """Documents of a run that are looked at for a query."""
    options: DistillationOptions
    work: WorkOptions


def distill(collection: CollectionOptions, options: DistillationOptions, work: WorkOptions) -> Artifact:
    """Make the data unless they are there; return them.

    InputError if --output has others, finished or half finished, and --force is not given.
    """
    refuse_foreign(options.output)
    system = teaching_system(options.teacher)
    with contextlib.ExitStack() as locks:
        weights = locks.enter_context(weights_of(system, work.wait))
        teacher = Teacher(options.teacher, located(system, weights, work.work), weights)
        corpus = open_corpus(collection, work)
        qrels, queries = corpus.collection.qrels(), corpus.collection.queries()
        hits = options.depth + max(map(len, qrels.values()), default=0)
        runs = [_run_file(collection, work, name.strip(), hits) for name in options.negatives_from.split(",")]
        for path in runs:
            locks.enter_context(unchanged(path, work.wait))
        distillation = Distillation(corpus, queries, qrels, teacher, hits, options, work)
        artifact = _artifact(distillation, runs)
        if work.force or not artifact.is_current():
            refuse_other_settings(artifact, work.force, "repro.distill")  # sooner than when another is done
            locks.enter_context(artifact.making(work.wait))
            refuse_other_settings(artifact, work.force, "repro.distill")
            if work.force or not artifact.is_current():
                _make(distillation, [RankedRun(path, hits) for path in runs], artifact)
    return artifact


def _artifact(of: Distillation, runs: list[Path]) -> Artifact:
    options = of.options
    inputs = {
        "stage": "distill",
        "format": FORMAT,
        "corpus": of.corpus.summary.sha256,
        "queries": queries_checksum(of.queries),
        "qrels": hashlib.sha256(canonical(of.qrels).encode()).hexdigest(),
        "teacher": of.teacher.weights.sha256,
        "runs": [sha256_file(path) for path in runs],
        "depth": options.depth,
        "positives": options.positives,
        "seed": options.seed,
        "limit": options.limit,
    }
    folder = of.work.work / "distilled" / f"{of.corpus.collection.name}.{of.teacher.system.name}"
    return Artifact(options.output or folder, inputs)


def _make(of: Distillation, runs: list[RankedRun], artifact: Artifact) -> None:
    """Mine the negatives of all queries from what runs rank best, have the teacher score them, and write the
    parts.

    Texts stay on the disk, so memory is that of the rows' ids.
    """
    rng = random.Random(of.options.seed)
    others: list[str] = []
    documents = _sampled(of.corpus.collection.documents(), rng, others)
    name = artifact.path.name
    for left in artifact.path.parent.glob(f"{glob.escape(name)}.texts-*"):
        remove(left)  # of a process that was killed: this one has the lock
    with TextStore(artifact.path.with_name(f"{name}.texts-{os.getpid()}"), documents) as texts:
        rows = _mined(of, runs, texts, rng, others)
        folder = artifact.begin(resume=not of.work.force)
        _write_parts(of, rows, texts, artifact, folder)
    artifact.finish(
        folder,
        teacher=of.teacher.name,
        weights=of.teacher.weights.record(),
        collection=of.corpus.collection.name,
        negatives_from=of.options.negatives_from,
        counts={"rows": len(rows), "queries": len({row.query for row in rows})},
    )
    note(f"{artifact.path}: {len(rows):,} rows of {NEGATIVES} margins by {of.teacher.name}")


def _mined(
    of: Distillation, runs: list[RankedRun], texts: TextStore, rng: random.Random, others: list[str]
) -> list[Mined]:
    """Return the rows of all queries that are to have some."""
    queries = [query for query in of.queries if query.id in of.qrels][: of.options.limit]
    rows = []
    for query in track(queries, len(queries), "mining", "queries"):
        drawn = rng.sample(others, min(len(others), 4 * NEGATIVES))
        found = candidates(runs, query.id, of.qrels[query.id], of.options.depth)
        rows += mine(query.id, of.qrels[query.id], found, texts, rng, drawn, of.options.positives)
    if not rows:
        name = of.corpus.collection.name
        raise InputError(f"{name}: no query has a relevant document and {NEGATIVES} negatives")
    return rows


def _write_parts(
    of: Distillation, rows: list[Mined], texts: TextStore, artifact: Artifact, folder: Path
) -> None:
    """Have the teacher score the rows, a part at a time; finished parts of an interrupted run are kept."""
    import pandas

    finished: list[int] = artifact.pieces(folder) or []  # the rows of each part
    listed = {_part_path(folder, number) for number in range(len(finished))}
    for path in folder.iterdir():
        if path not in listed:
            remove(path)  # its process was killed while it wrote it
    done = sum(finished)
    if done:
        note(f"going on after {done:,} of {len(rows):,} rows that were scored before")
    if done == len(rows):
        return
    names, score = dict(of.queries), load(of.teacher, of.work.threads)
    with bar(len(rows), f"scoring with {of.teacher.name}", "rows") as progress:
        progress.update(done)
        for part in _parts(rows[done:], of.options.shard_size):
            path = _part_path(folder, len(finished))
            pandas.DataFrame(_scored(part, names, texts, score)).to_parquet(path, index=False)
            flush(path)
            finished.append(len(part))
            artifact.save_pieces(folder, finished)
            progress.update(len(part))


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _sampled(documents: Iterable[Document], rng: random.Random, sample: list[str]) -> Iterator[Document]:
    """Yield the documents that have a text, and put the ids of SAMPLE of them into ``sample`` (Vitter 1985,
    algorithm R).
    """
    for number, document in enumerate(documents):
        if not document.text:
            continue
        if len(sample) < SAMPLE:
            sample.append(document.id)
        elif (place := rng.randrange(number + 1)) < SAMPLE:
            sample[place] = document.id
        yield document


def _scored(
    rows: list[Mined], queries: dict[str, str], texts: Mapping[str, str], score: Score
) -> list[dict[str, Any]]:
    pairs = [(queries[row.query], texts[d]) for row in rows for d in (row.positive, *row.negatives)]
    scores = score(pairs).reshape(len(rows), 1 + NEGATIVES)
    if not np.isfinite(scores).all():
        query = rows[int(np.isfinite(scores).all(axis=1).argmin())].query
        raise InputError(f"query {query}: the teacher's scores are not all finite; take another teacher")
    return [
        {
            "query_id": row.query,
            "query": queries[row.query],
            "positive": texts[row.positive],
            **{f"negative_{i}": texts[d] for i, d in enumerate(row.negatives, 1)},
            "label": (values[0] - values[1:]).tolist(),
        }
        for row, values in zip(rows, scores)
    ]


def _parts(rows: list[Mined], size: int) -> Iterator[list[Mined]]:
    remaining = iter(rows)
    while part := list(itertools.islice(remaining, size)):
        yield part


def _run_file(collection: CollectionOptions, work: WorkOptions, name: str, hits: int) -> Path:
    """Return a run file that is there, or that of a system, which is made first if it is missing.

    It does not lie beside the reported runs: it has no more documents a query than are needed here.
    """
    if Path(name).is_file():
        return Path(name)
    again = WorkOptions(work.work, force=False, wait=work.wait, threads=work.threads)
    common = collection, SystemOption(name), again
    if ENGINES[find_system(name).kind].encodes:
        stage("repro.encode", *common).run()
    stage("repro.index", *common).run()
    runs = RunsOptions(
        work.work / "distilled" / "runs" / f"top-{hits}"
    )  # one that asks for more makes its own
    return Path(stage("repro.search", *common, runs, SearchOptions(hits=hits)).run())
