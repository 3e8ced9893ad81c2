"""Distillation data: hard negatives from retrievers, margins from a teacher, in the columns of the published
data.
"""

import contextlib
import glob
import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.files import flush, remove, sha256_file
from repro.base.locks import locked
from repro.base.progress import note, track
from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.share_options import Share, ShareOptions
from repro.cli.training_options import DistillationOptions
from repro.collections.model import Document, judgments_checksum, queries_checksum
from repro.collections.texts import TextStore
from repro.distillation import held_out
from repro.distillation.mining import Mined, candidates, mine
from repro.distillation.retrieving import bm25_index, run_file
from repro.distillation.scoring import Material, Score, encoded_corpus, scoring
from repro.distillation.selection import Selection, folder_suffix, select
from repro.distillation.teachers import Teacher, teaching_system
from repro.formats.runs import RankedRun
from repro.lucene.pair_scores import bm25_scores
from repro.models.systems import located
from repro.pipeline.sources import unchanged, weights_of

FORMAT = 1
SAMPLE = 1000
"""Random documents that stand by where a query has too few candidates."""


@dataclass(frozen=True)
class Distillation:
    """What is distilled from what: queries with their judgments, a teacher, settings."""

    selection: Selection
    teacher: Teacher
    encoded: Path | None
    """The corpus as the teacher encoded it, if it did."""
    bm25: Path | None
    """The index that BM25's scores come from, if they are asked for."""
    hits: int
    """Documents of a run that are looked at for a query."""
    options: DistillationOptions
    work: WorkOptions


def distill(
    collection: CollectionOptions,
    options: DistillationOptions,
    work: WorkOptions,
    shares: ShareOptions = ShareOptions(),
    compute: Callable[[], None] | None = None,
) -> Path:
    """Make the data unless they are there; return where they lie.

    With a share to make, compute no more than that of what the teacher must, and return the folder that keeps
    it. What is merged are the teacher's stores: what no machine has computed is computed here. Where data are
    to be made, ``compute`` may fill the stores before.

    InputError if --output has others, finished or half finished, and --force is not given.
    """
    refuse_foreign(options.output)
    system = teaching_system(options.teacher)
    with contextlib.ExitStack() as locks:
        weights = locks.enter_context(weights_of(system, work.wait))
        teacher = Teacher(options.teacher, located(system, weights, work.work), weights)
        selection = select(collection, options, work)
        locks.enter_context(unchanged(Path(selection.collection.collection), work.wait))
        qrels = selection.corpus.collection.qrels()
        hits = options.depth + max(map(len, qrels.values()), default=0)
        runs = [run_file(selection, work, name.strip(), hits) for name in options.negatives_from.split(",")]
        encoded = locks.enter_context(encoded_corpus(teacher, selection.corpus, work))
        bm25 = locks.enter_context(bm25_index(selection, work)) if options.bm25 else None
        for path in runs:
            locks.enter_context(unchanged(path, work.wait))
        distillation = Distillation(selection, teacher, encoded, bm25, hits, options, work)
        artifact = _artifact(distillation, runs)
        if shares.shard and (work.force or not artifact.is_current()):
            return _score_share(
                distillation, [RankedRun(path, hits) for path in runs], artifact, shares.shard
            )
        if work.force or not artifact.is_current():
            refuse_other_settings(artifact, work.force, "repro.distill")  # sooner than when another is done
            if compute:
                compute()
            locks.enter_context(artifact.making(work.wait))
            refuse_other_settings(artifact, work.force, "repro.distill")
            if work.force or not artifact.is_current():
                _make(distillation, [RankedRun(path, hits) for path in runs], artifact, shares.merge or [])
    return artifact.path


def _artifact(of: Distillation, runs: list[Path]) -> Artifact:
    options, corpus = of.options, of.selection.corpus
    inputs = {
        "stage": "distill",
        "format": FORMAT,
        "corpus": corpus.summary.sha256,
        "queries": queries_checksum(corpus.collection.queries()),
        "qrels": judgments_checksum(corpus.collection.qrels()),
        "teacher": of.teacher.weights.sha256,
        "runs": [sha256_file(path) for path in runs],
        "depth": options.depth,
        "positives": options.positives,
        "seed": options.seed,
        "limit": options.limit,
    }
    # data made before there was a choice stay
    for name in ("negatives", "queries_from", "rows", "bm25", "held_out"):
        if (value := getattr(options, name)) != getattr(DistillationOptions, name):
            inputs[name] = list(value) if isinstance(value, tuple) else value
    if options.held_out:
        inputs["pool"] = [held_out.POOL, held_out.LEAST_DEPTH]
    teachers = f"{of.teacher.system.name}{'.bm25' if options.bm25 else ''}"
    name = f"{of.selection.name}.{teachers}{folder_suffix(options)}"
    return Artifact(options.output or of.work.work / "distilled" / name, inputs)


@contextlib.contextmanager
def _all_rows(of: Distillation, runs: list[RankedRun], path: Path) -> Iterator[tuple[list[Mined], TextStore]]:
    """Mine the negatives of all queries from what runs rank best; yield the rows, and the texts.

    Texts stay on the disk, beside ``path``, whose lock this process has; memory is that of the rows' ids.
    """
    rng = random.Random(of.options.seed)
    others: list[str] = []
    documents = _sampled(of.selection.corpus.collection.documents(), rng, others)
    for left in path.parent.glob(f"{glob.escape(path.name)}.texts-*"):
        remove(left)  # of a process that was killed
    with TextStore(path.with_name(f"{path.name}.texts-{os.getpid()}"), documents) as texts:
        yield _mined(of, runs, texts, rng, others), texts


def _score_share(of: Distillation, runs: list[RankedRun], artifact: Artifact, share: Share) -> Path:
    """Have the teacher compute a share of what the rows need; return the folder that keeps it."""
    path = artifact.path.with_name(f"{artifact.path.name}.shard-{share.number}-of-{share.of}")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    with locked(lock, wait=of.work.wait), _all_rows(of, runs, path) as (rows, texts):
        material = Material(of.teacher, _queries(of), texts, of.encoded, of.work, share)
        with scoring(material, _pairs(rows)):
            pass  # the stores are filled when they are open
    return of.work.work / material.folder


def _queries(of: Distillation) -> dict[str, str]:
    return dict(of.selection.corpus.collection.queries())


def _make(of: Distillation, runs: list[RankedRun], artifact: Artifact, others: Sequence[Path]) -> None:
    """Mine the negatives of all queries, have the teacher score them, and write the parts."""
    corpus, options = of.selection.corpus, of.options
    with _all_rows(of, runs, artifact.path) as (rows, texts):
        folder = artifact.begin(resume=not of.work.force)
        if of.selection.held_out:
            held_out.write_held_out(folder, corpus, of.selection.held_out, runs, options.depth)
        _write_parts(of, rows, texts, artifact, folder, others)
    artifact.finish(
        folder,
        teacher=of.teacher.name,
        weights=of.teacher.weights.record(),
        collection=corpus.collection.name,
        negatives_from=options.negatives_from,
        counts={
            "rows": len(rows),
            "queries": len({row.query for row in rows}),
            "held_out": len(of.selection.held_out),
        },
    )
    note(f"{artifact.path}: {len(rows):,} rows of {options.negatives} margins by {of.teacher.name}")


def _mined(
    of: Distillation, runs: list[RankedRun], texts: TextStore, rng: random.Random, others: list[str]
) -> list[Mined]:
    """Return the rows of all queries that are to have some; no positive is relevant to a query held out."""
    collection, aside, options = of.selection.corpus.collection, of.selection.held_out, of.options
    qrels = collection.qrels()
    tested = held_out.relevant({query: qrels[query] for query in aside})
    queries = [query for query in collection.queries() if query.id not in aside][: options.limit]
    rows = []
    for query in track(queries, len(queries), "mining", "queries"):
        judged = qrels[query.id]
        drawn = rng.sample(others, min(len(others), 4 * options.negatives))
        found = candidates(runs, query.id, judged, options.depth)
        rows += mine(query.id, judged, found, texts, rng, drawn, options.positives, options.negatives, tested)
    if not rows:
        cure = " that is not relevant to one held out; hold fewer out" if aside else ""
        raise InputError(
            f"{collection.name}: no query has {options.negatives} negatives and a relevant document{cure}"
        )
    return rows


def _write_parts(
    of: Distillation,
    rows: list[Mined],
    texts: TextStore,
    artifact: Artifact,
    folder: Path,
    others: Sequence[Path],
) -> None:
    """Have the teacher score the rows, and write a part at a time; finished parts of an interrupted run are
    kept.
    """
    import pandas

    finished: list[int] = artifact.pieces(folder) or []  # the rows of each part
    listed = {_part_path(folder, number) for number in range(len(finished))}
    for path in folder.iterdir():
        if path not in listed and path.name != held_out.FOLDER:
            remove(path)  # its process was killed while it wrote it
    done = sum(finished)
    if done:
        note(f"going on after {done:,} of {len(rows):,} rows that were scored before")
    if done == len(rows):
        return
    material = Material(of.teacher, _queries(of), texts, of.encoded, of.work, others=others)
    with scoring(material, _pairs(rows[done:])) as score:
        for part in _parts(rows[done:], of.options.shard_size):
            path = _part_path(folder, len(finished))
            pandas.DataFrame(_scored(part, material, score, of.bm25)).to_parquet(path, index=False)
            flush(path)
            finished.append(len(part))
            artifact.save_pieces(folder, finished)


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


def _scored(rows: list[Mined], material: Material, score: Score, bm25: Path | None) -> list[dict[str, Any]]:
    queries, texts, pairs = material.queries, material.texts, _pairs(rows)
    scores = {"label": score(pairs)}
    if bm25:
        scores["bm25"] = bm25_scores(bm25, [(queries[query], docid) for query, docid in pairs])
    candidates_of = [values.reshape(len(rows), -1) for values in scores.values()]
    return [
        {
            "query_id": row.query,
            "query": queries[row.query],
            "positive": texts[row.positive],
            **{f"negative_{i}": texts[d] for i, d in enumerate(row.negatives, 1)},
            **{name: (of_row[0] - of_row[1:]).tolist() for name, of_row in zip(scores, of_rows)},
        }
        for row, *of_rows in zip(rows, *candidates_of)
    ]


def _pairs(rows: list[Mined]) -> list[tuple[str, str]]:
    """Return the pairs of a query and a document that are scored, a row's one after the other."""
    return [(row.query, docid) for row in rows for docid in (row.positive, *row.negatives)]


def _parts(rows: list[Mined], size: int) -> Iterator[list[Mined]]:
    remaining = iter(rows)
    while part := list(itertools.islice(remaining, size)):
        yield part
