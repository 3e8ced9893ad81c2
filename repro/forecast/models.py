"""Measure what encoding takes, on some hundred texts: by a model, or by random weights in its shape."""

import gc
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.base.memory import peak_memory
from repro.cli.options import SystemOptions
from repro.collections.model import Document, Query
from repro.engines import ENGINES
from repro.engines.protocol import ShardWriter, Text
from repro.forecast.rates import ModelRate, TextRate
from repro.formats.impact_vectors import ImpactVector, read_vectors, shard_path, write_shard
from repro.models.random_weights import save_body, save_masked_lm
from repro.models.router import documents_folder
from repro.models.systems import System
from repro.models.weights import Weights

FIRST = 8
"""Texts of the first batch that is timed; each further one has twice as many, as long as there is time."""
SECONDS = {"documents": 1.2, "queries": 0.3}
"""For all batches of a part; the last one, about half of them, is what counts."""
BIAS_TEXTS = 8
"""Texts by which random weights get their number of active terms."""


@dataclass(frozen=True)
class ModelJob:
    """A model that is measured: its weights, or, without them, the folder whose tokenizer its shape gets.

    ``terms`` are a passage's active terms that random weights are to have. ``least`` texts are encoded,
    whatever time that takes.
    """

    system: System
    weights: Weights | None
    tokenizer_of: Path | None = None
    terms: float = 0.0
    least: int = FIRST


def measure_models(
    begun: float,
    jobs: Sequence[ModelJob],
    documents: list[Document],
    queries: list[Query],
    options: SystemOptions,
    threads: int,
    folder: Path,
) -> Iterator[tuple[str, ModelRate | str]]:
    """Yield each system's name with its rates, or, for a model that does not load, the reason.

    What it encodes stays in ``folder``/<name>/documents and /queries. Peaks of memory are the process's: jobs
    come with the smallest model first.
    """
    if any(job.system.kind == "dense" for job in jobs):
        import repro.dense.encoder
    else:
        import repro.splade.encoder  # noqa: F401  (what a stage imports takes its time, too)
    imported = time.time() - begun
    for job in jobs:
        place = folder / job.system.name
        try:
            yield job.system.name, _measured(job, imported, documents, queries, options, threads, place)
        except InputError as error:
            yield job.system.name, str(error)
        gc.collect()


def _measured(
    job: ModelJob,
    imported: float,
    documents: list[Document],
    queries: list[Query],
    options: SystemOptions,
    threads: int,
    place: Path,
) -> ModelRate:
    with tempfile.TemporaryDirectory() as made:
        weights = job.weights or _random(job, Path(made), [text for _, text in documents[:BIAS_TEXTS]])
        engine, started = ENGINES[job.system.kind], time.perf_counter()
        if not engine.encodes:
            raise ValueError(f"{job.system.name} encodes nothing")
        writer = engine.open_encoder(job.system, weights, options, threads)
        start = imported + time.perf_counter() - started
        of_documents = _rate(writer, "documents", documents, place / "documents", job.least)
        if job.system.documents_of:
            of_queries = _static(job.system, weights, queries, place / "queries")
        else:
            of_queries = _rate(writer, "queries", queries, place / "queries", job.least)
    shared = None
    if job.weights and job.system.kind != "dense":
        shared = overlap(place / "documents", place / "queries")
    return ModelRate(start, round(peak_memory() * 2**20), of_documents, of_queries, shared)


def _random(job: ModelJob, folder: Path, texts: list[str]) -> Weights:
    shape = job.system.indexed.shape
    if shape is None or job.tokenizer_of is None:
        raise InputError("its weights are not at hand, and systems.yaml has no shape of it")
    if job.system.kind == "dense":
        save_body(shape, job.tokenizer_of, folder)
    else:
        save_masked_lm(shape, job.tokenizer_of, texts, job.terms, folder)
    return Weights(folder, "random", "")


def _static(system: System, weights: Weights, queries: list[Query], folder: Path) -> TextRate:
    """Write the queries' own tokens, which ``splade-doc`` searches with, and return the rate.

    Their weights, which need an index, change neither their number nor the time.
    """
    from repro.splade.loading import load_tokenizer, terms_of, tokenize

    folder.mkdir(parents=True)
    started = time.perf_counter()
    tokenizer = load_tokenizer(documents_folder(weights.path))
    terms = terms_of(tokenizer, max(tokenizer.get_vocab().values()) + 1)
    texts = [query.text for query in queries]
    tokens = tokenize(tokenizer, texts, system.query_max_length, system.name, len(terms), special=False)
    vectors = [dict.fromkeys((terms[token] for token in found), 1) for found in tokens]
    write_shard(shard_path(folder, 0), map(ImpactVector, *zip(*queries), vectors))
    seconds, written = time.perf_counter() - started, shard_path(folder, 0).stat().st_size
    count = len(queries)
    return TextRate(count, seconds / count, written / count, sum(map(len, vectors)) / count)


def _rate(writer: ShardWriter, part: str, texts: Sequence[Text], folder: Path, least: int) -> TextRate:
    """Encode and write batches that double until time is up, and there were ``least`` texts in one; return
    the rate of the last, largest one.
    """
    folder.mkdir(parents=True)
    writer.write(folder, 0, [list(texts[:FIRST])], part)  # what is done once, at the first texts
    size, spent = FIRST, 0.0
    while True:
        for file in writer.files(folder, 0):
            file.unlink()
        batch, started = list(texts[:size]), time.perf_counter()
        counts = writer.write(folder, 0, [batch], part)
        seconds = time.perf_counter() - started
        spent += seconds
        if size >= len(texts) or (size >= least and spent + 2 * seconds > SECONDS[part]):
            break
        size = max(2 * size, least)
    written = sum(file.stat().st_size for file in writer.files(folder, 0))
    terms = counts["dimensions"] if "dimensions" in counts else counts["postings"] / len(batch)
    return TextRate(len(batch), seconds / len(batch), written / len(batch), terms)


def overlap(documents: Path, queries: Path) -> float:
    """Return the mean number of terms that a query and a passage of two folders of vectors share."""
    passages = [vector.vector.keys() for vector in read_vectors(documents)]
    found = Counter(term for terms in passages for term in terms)
    of_queries = [vector.vector.keys() for vector in read_vectors(queries)]
    return sum(found[term] for terms in of_queries for term in terms) / (len(passages) * len(of_queries))
