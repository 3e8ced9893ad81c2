"""Distillation data: hard negatives from retrievers, margins from a teacher, in the columns of the published data."""

import contextlib
import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.locks import locked
from repro.artifacts.store import Artifact, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import canonical, flush, remove, sha256_file
from repro.base.progress import bar, note, track
from repro.cli.options import (
    CollectionOptions,
    DistillationOptions,
    RunsOptions,
    SearchOptions,
    SystemOption,
    WorkOptions,
)
from repro.cli.stages import stage
from repro.collections.model import Document, Qrels, Query, queries_checksum
from repro.collections.texts import TextStore
from repro.engines import ENGINES
from repro.formats.runs import RankedRun
from repro.models.systems import find_system
from repro.pipeline.opening import Corpus, open_corpus
from repro.training.mining import NEGATIVES, Mined, candidates, mine
from repro.training.teachers import Score, Teacher, find_teacher, load

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
    """Make the data unless they are there; return them. InputError if --output has others and --force is not given."""
    corpus, teacher = open_corpus(collection, work), find_teacher(options.teacher)
    qrels = corpus.collection.qrels()
    hits = options.depth + max(map(len, qrels.values()), default=0)
    runs = [_run_file(collection, work, name.strip(), hits) for name in options.negatives_from.split(",")]
    with contextlib.ExitStack() as locks:
        for path in runs:
            locks.enter_context(locked(path.with_name(f"{path.name}.lock"), shared=True, wait=work.wait))
        queries = corpus.collection.queries()
        distillation = Distillation(corpus, queries, qrels, teacher, hits, options, work)
        artifact = _artifact(distillation, runs)
        refuse_other_settings(artifact, work.force, "repro.distill")
        if work.force or not artifact.is_current():
            locks.enter_context(artifact.making(work.wait))
            refuse_other_settings(artifact, work.force, "repro.distill")
            if work.force or not artifact.is_current():
                _make(distillation, [RankedRun(path, hits) for path in runs], artifact)
    return artifact


def _artifact(of: Distillation, runs: list[Path]) -> Artifact:
    options, name = of.options, of.teacher.system.name.replace("/", "-")
    inputs = {
        "stage": "distill",
        "format": FORMAT,
        "corpus": of.corpus.summary.sha256,
        "queries": queries_checksum(of.queries),
        "qrels": hashlib.sha256(canonical(of.qrels).encode()).hexdigest(),
        "teacher": of.teacher.sha256,
        "runs": [sha256_file(path) for path in runs],
        "depth": options.depth,
        "positives": options.positives,
        "seed": options.seed,
        "limit": options.limit,
        "shard_size": options.shard_size,
    }
    folder = of.work.work / "distilled" / f"{of.corpus.collection.name}.{name}"
    return Artifact(options.output or folder, inputs)


def _make(of: Distillation, runs: list[RankedRun], artifact: Artifact) -> None:
    """Mine the negatives of all queries from what runs rank best, have the teacher score them, and write the parts.

    Texts stay on the disk, so memory is that of the rows' ids.
    """
    rng = random.Random(of.options.seed)
    others: list[str] = []
    documents = _sampled(of.corpus.collection.documents(), rng, others)
    for left in artifact.path.parent.glob(f"{artifact.path.name}.texts-*"):
        remove(left)  # of a process that was killed: this one has the lock
    with TextStore(artifact.path.with_name(f"{artifact.path.name}.texts-{os.getpid()}"), documents) as texts:
        rows = _mined(of, runs, texts, rng, others)
        folder = artifact.begin(resume=not of.work.force)
        _write_parts(of, rows, texts, folder)
    artifact.finish(
        folder,
        teacher=of.teacher.name,
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


def _write_parts(of: Distillation, rows: list[Mined], texts: TextStore, folder: Path) -> None:
    """Have the teacher score the rows, a part at a time; parts that are there are kept."""
    import pandas

    names, score = dict(of.queries), None
    with bar(len(rows), f"scoring with {of.teacher.name}", "rows") as progress:
        for number, part in enumerate(_parts(rows, of.options.shard_size)):
            path = folder / f"part-{number:05d}.parquet"
            if not path.exists():
                score = score or load(of.teacher, of.work.threads)
                temporary = path.with_suffix(".tmp")
                pandas.DataFrame(_scored(part, names, texts, score)).to_parquet(temporary, index=False)
                flush(temporary)
                temporary.replace(path)
            progress.update(len(part))


def _sampled(documents: Iterable[Document], rng: random.Random, sample: list[str]) -> Iterator[Document]:
    """Yield the documents that have a text, and put the ids of SAMPLE of them into ``sample`` (Vitter 1985, algorithm R)."""
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
    runs = RunsOptions(work.work / "distilled" / "runs")
    return Path(stage("repro.search", *common, runs, SearchOptions(hits=hits)).run())
