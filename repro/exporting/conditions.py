"""The rows of a table as conditions that Pyserini and Anserini run and compare.

    pyserini.yaml                        a condition a row, for all query sets (pyserini_conditions)
    anserini/<query set>.<system>.yaml   a regression for each row and query set (anserini_regression)
    topics.*  qrels.*                    queries, as texts and encoded, and judgments
    corpus/                              the texts, for Anserini's BM25 (beside it, since it is large)

A score is expected where the row was measured: where its run, and all that it was made from, is current.
"""

import contextlib
import gzip
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.files import write_text
from repro.base.progress import note, track
from repro.cli.export_options import ConditionsOptions
from repro.cli.options import CollectionOptions, MeasureOptions, RunsOptions, SystemOptions, WorkOptions
from repro.collections.opening import joint_label
from repro.evaluation.measures import evaluate
from repro.evaluation.standards import measures_of
from repro.exporting.anserini_regression import KINDS, regression
from repro.exporting.pyserini_conditions import condition, definitions, search_command
from repro.exporting.rows import Row
from repro.exporting.topic_sets import Measured, TopicSet
from repro.exporting.vectors import vectors_path
from repro.formats.embeddings import read_embeddings
from repro.formats.impact_vectors import read_vectors, shard_path, strongest
from repro.formats.runs import read_queries
from repro.models.systems import DOCUMENT_ONLY, find_system, table_systems
from repro.models.trained import trained_on
from repro.models.weights import NoWeights
from repro.pipeline.opening import artifacts_of, open_corpora

FORMAT = 2
"""Of the texts. 2: gzip without a time."""


@dataclass(frozen=True)
class ConditionsRequest:
    """Which query sets (over one corpus) and rows are exported, and with which options they were measured."""

    collections: Sequence[CollectionOptions]
    rows: ConditionsOptions
    systems: SystemOptions
    measures: MeasureOptions
    work: WorkOptions
    runs: RunsOptions


def export_conditions(request: ConditionsRequest) -> Path:
    """Write the conditions of all rows; return their folder."""
    opened = open_corpora(request.collections, request.work)
    collections = [of.collection for of in opened]
    name = collections[0].name
    if len(collections) > 1:
        name = joint_label(request.collections[0].collection, collections, request.work.work)
    conditions = Artifact(conditions_path(request.work.work, name), {"stage": "export conditions"})
    sets = [
        TopicSet(
            options.collection,
            of,
            of.collection.queries(judged_only=not request.systems.queries.all_queries),
            of.collection.qrels(),
            measures_of(of.collection.official_measures(), request.measures, of.summary.documents),
            conditions.path,
        )
        for options, of in zip(request.collections, opened)
    ]
    rows = [_row(request, name, sets) for name in _names(request)]
    texts = _texts(sets[0], request.work) if any(row.system.kind == "bm25" for row in rows) else Path()
    with conditions.making(request.work.wait):
        folder = conditions.begin()
        (folder / "anserini").mkdir()
        for of_set in sets:
            of_set.write(folder)
        write_text(folder / "pyserini.yaml", _pyserini(rows, sets))
        for row in rows:
            _write_regressions(row, sets, folder, texts, request)
        conditions.finish(folder, rows=[row.system.name for row in rows])
    return conditions.path


def conditions_path(work: Path, name: str) -> Path:
    """Return where the conditions of a query set lie, or of several over the corpus called ``name``."""
    return work / "exports" / f"{name}.conditions"


def _names(request: ConditionsRequest) -> list[str]:
    if request.rows.systems:
        return [name.strip() for name in request.rows.systems.split(",")]
    trained = (trained_on(options, request.work.work) for options in request.collections)
    return list(dict.fromkeys([*table_systems(), *(name for names in trained for name in names)]))


def _row(request: ConditionsRequest, name: str, sets: Sequence[TopicSet]) -> Row:
    system, corpus, work = find_system(name), sets[0].corpus.collection.corpus, request.work.work
    try:
        artifacts: list[SystemArtifacts | None] = [
            artifacts_of(system, of_set.corpus, request.work, request.systems, request.runs, download=False)
            for of_set in sets
        ]
    except NoWeights:
        note(f"{name}: without scores, its model is not on this machine (python -m repro.doctor)")
        nothing = [None] * len(sets)
        return Row(system, corpus, work, request.systems, nothing, nothing)
    measured = [_measured(of, of_set, request.work) for of, of_set in zip(artifacts, sets) if of is not None]
    for of_set, found in zip(sets, measured):
        if found is None:
            note(
                f"{name}: without scores on {of_set.name}, its run is missing or outdated; "
                "python -m repro.table makes it"
            )
    named = artifacts[0].system if artifacts[0] else system
    return Row(named, corpus, work, request.systems, artifacts, measured)


def _measured(of: SystemArtifacts, of_set: TopicSet, work: WorkOptions) -> Measured | None:
    """Return a row's figures, None unless its run and all that it was made from is current.

    A run here has the order of ties in its scores. Other tools write equal ones, which trec_eval orders by
    docid descending. Sums of impacts are integers, so that those of this run can be told: it has lowered them
    by less than 1.
    """
    with contextlib.ExitStack() as locks:
        for artifact in of.chain():
            locks.enter_context(artifact.reading(work.wait))
            if not artifact.is_current():
                return None
        total, name = len(of_set.qrels), f"evaluating {of.system.name}"
        results = track(read_queries(of.run.path), total, name, "queries")
        figures = evaluate(of_set.qrels, results, of_set.measures).mean
        if of.system.indexed.kind != "splade":
            return Measured(figures, dict.fromkeys(figures, 0.0))
        tied = (
            (query, {docid: float(math.ceil(score)) for docid, score in scores.items()})
            for query, scores in read_queries(of.run.path)
        )
        other = evaluate(of_set.qrels, tied, of_set.measures).mean
        return Measured(figures, {measure: abs(other[measure] - value) for measure, value in figures.items()})


def _pyserini(rows: Sequence[Row], sets: Sequence[TopicSet]) -> str:
    conditions = []
    for row in rows:
        command = search_command(row)
        if command is None:
            note(f"{row.system.name}: no condition, Pyserini has no command that makes its run")
        else:
            conditions.append(condition(row, command, sets))
    return _yaml({"conditions": conditions, "metric_definitions": definitions(sets)})


def _write_regressions(
    row: Row, sets: Sequence[TopicSet], folder: Path, texts: Path, request: ConditionsRequest
) -> None:
    system = row.system
    if system.indexed.kind not in KINDS:
        note(f"{system.name}: no regression, Anserini has none of its kind")
        return
    corpus_path = texts if system.kind == "bm25" else _vectors(row)
    for of_set, of, measured in zip(sets, row.artifacts, row.measured):
        statistics = _take_current(of, of_set, folder, request.work) if of else {}
        found = regression(system, corpus_path, statistics, of_set, measured, row.options)
        write_text(folder / "anserini" / f"{of_set.name}.{system.name}.yaml", "---\n" + _yaml(found))


def _take_current(of: SystemArtifacts, of_set: TopicSet, folder: Path, work: WorkOptions) -> dict[str, int]:
    """Write the encoded queries and return the statistics of a Lucene index, where these are current."""
    with contextlib.ExitStack() as locks:
        # in the order of the data flow, so that no two processes wait for each other
        for artifact in of.chain()[:-1]:
            locks.enter_context(artifact.reading(work.wait))
        if of.engine.encodes and of.queries.is_current():
            _write_encoded(of, of_set, folder)
        if of.system.kind != "dense" and of.index.is_current():
            from repro.lucene.statistics import index_statistics

            return index_statistics(of.index.path)
    return {}


def _write_encoded(of: SystemArtifacts, of_set: TopicSet, folder: Path) -> None:
    if of.system.indexed.kind == "splade":
        terms = of.options.search.max_query_terms
        vectors = [(i, strongest(vector, terms)) for i, _, vector in read_vectors(of.queries.path)]
        of_set.write_impacts(folder, of.system.name, vectors, pyserini=of.system.kind == DOCUMENT_ONLY)
    else:
        rows = (
            (i, row.tolist()) for ids, rows in read_embeddings(of.queries.path) for i, row in zip(ids, rows)
        )
        of_set.write_embeddings(folder, of.system.name, rows)


def _vectors(row: Row) -> Path:
    """Return where the encoded corpus lies for Anserini: dense vectors in the JSON that it reads."""
    if row.system.kind == "dense":
        return vectors_path(row.work, row.corpus, row.documents.name, "anserini")
    return row.documents


def _texts(of_set: TopicSet, work: WorkOptions) -> Path:
    """Write the corpus as Anserini's ``JsonCollection`` reads it, unless that was done; return the folder."""
    collection, summary = of_set.corpus.collection, of_set.corpus.summary
    inputs = {"stage": "export texts", "format": FORMAT, "corpus": summary.sha256}
    texts = Artifact(work.work / "exports" / f"{collection.corpus}.texts", inputs)
    with texts.making(work.wait):
        if not texts.is_current():
            folder = texts.begin()
            documents = track(collection.documents(), summary.documents, "writing texts", "documents")
            with (
                open(shard_path(folder, 0), "wb") as raw,
                gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,  # no name and no time in it
                io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
            ):
                for document in documents:
                    record = {"id": document.id, "contents": document.text}
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
            texts.finish(folder)
    return texts.path


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000)
