"""Measure what encoding takes, by the models that are at hand, on some texts; scale others from these."""

import importlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repro.base.errors import InputError
from repro.base.memory import peak_memory, reset_peak
from repro.cli.options import SystemOptions
from repro.collections.model import Document, Query
from repro.engines import ENGINES
from repro.engines.protocol import ShardWriter, Text
from repro.forecast.rates import ModelRate, TextRate
from repro.forecast.stopwatch import seconds_of
from repro.formats.impact_vectors import ImpactVector, read_vectors, shard_path, write_shard
from repro.models.router import documents_folder
from repro.models.systems import Shape, System
from repro.models.weights import Weights

FIRST = 16
"""Texts by which it is told how many take ``SECONDS``; what is done once is done with them."""
SECONDS = {"documents": 0.8, "queries": 0.2}
ENCODED = 256
"""Texts at most; of the model whose vectors are indexed, so many: of few, all terms would be frequent."""
VOCABULARY = 30_522
"""BERT's, which all models of the table have."""
COPIES = 2
"""Of the weights in memory: the model's, and those laid out for the compiled layers."""
MARKS = 2
"""Tokens that stand around each text."""


@dataclass(frozen=True)
class ModelJob:
    """A model that is measured; ``indexed`` if ENCODED of its passages are to be there, however long it
    takes.
    """

    system: System
    weights: Weights
    indexed: bool = False


@dataclass(frozen=True)
class Texts:
    """What is encoded, in random order."""

    documents: list[Document]
    queries: list[Query]


def measure_models(
    jobs: Sequence[ModelJob], texts: Texts, options: SystemOptions, threads: int, folder: Path
) -> dict[str, ModelRate | str]:
    """Return each system's rates, or, for a model that does not load, the reason.

    What it encodes stays in ``folder``/<name>/documents and /queries. SPLADE models come first, as dense ones
    need further libraries.
    """
    found: dict[str, ModelRate | str] = {}
    imported = time.process_time()
    for job in sorted(jobs, key=lambda job: job.system.kind == "dense"):
        encoder = "repro.dense.encoder" if job.system.kind == "dense" else "repro.splade.encoder"
        imported += seconds_of(lambda name=encoder: importlib.import_module(name), 1)  # type: ignore[misc]
        try:
            found[job.system.name] = _measured(job, imported, texts, options, threads, folder)
        except InputError as error:
            found[job.system.name] = str(error)
    return found


def _measured(
    job: ModelJob, imported: float, texts: Texts, options: SystemOptions, threads: int, folder: Path
) -> ModelRate:
    engine, system, place = ENGINES[job.system.kind], job.system, folder / job.system.name
    if not engine.encodes:
        raise ValueError(f"{system.name} encodes nothing")
    reset_peak()
    opened: list[ShardWriter] = []
    start = seconds_of(lambda: opened.append(engine.open_encoder(system, job.weights, options, threads)), 1)
    (writer,) = opened
    least = ENCODED if job.indexed else FIRST
    documents = _rate(writer, "documents", texts.documents, place / "documents", threads, least)
    if system.documents_of:
        queries = _static(job, texts.queries, place / "queries")
    else:
        queries = _rate(writer, "queries", texts.queries, place / "queries", threads, FIRST)
    shared = None if system.kind == "dense" else overlap(place / "documents", place / "queries")
    return ModelRate(imported + start, round(peak_memory() * 2**20), documents, queries, shared)


def _static(job: ModelJob, queries: list[Query], folder: Path) -> TextRate:
    """Write the queries' own tokens, which ``splade-doc`` searches with, and return the rate.

    Their weights, which need an index, change neither their number nor the time.
    """
    from repro.splade.loading import load_tokenizer, terms_of, tokenize

    folder.mkdir(parents=True)
    tokenizer = load_tokenizer(documents_folder(job.weights.path))
    terms = terms_of(tokenizer, max(tokenizer.get_vocab().values()) + 1)
    texts, length = [query.text for query in queries], job.system.query_max_length
    vectors: list[dict[str, int]] = []

    def write() -> None:
        tokens = tokenize(tokenizer, texts, length, job.system.name, len(terms), special=False)
        vectors[:] = [dict.fromkeys((terms[token] for token in found), 1) for found in tokens]
        write_shard(shard_path(folder, 0), map(ImpactVector, *zip(*queries), vectors))

    count, seconds = len(queries), seconds_of(write, 1)
    written = shard_path(folder, 0).stat().st_size
    return TextRate(count, seconds / count, written / count, sum(map(len, vectors)) / count)


def _rate(
    writer: ShardWriter, part: str, texts: Sequence[Text], folder: Path, threads: int, least: int
) -> TextRate:
    """Encode and write as many texts as there is time for, ``least`` at least; return the rate."""
    folder.mkdir(parents=True)
    counts: dict[str, int] = {}

    def encode(batch: Sequence[Text]) -> float:
        for file in writer.files(folder, 0):
            file.unlink(missing_ok=True)
        taken = seconds_of(
            lambda: counts.update(writer.write(folder, 0, [list(batch)], part)), threads, alone=False
        )
        return taken / len(batch)

    encode(texts[:2])  # what is loaded once
    size = max(least, min(ENCODED, round(SECONDS[part] / encode(texts[:FIRST]))))
    batch = texts[:size]
    seconds = encode(batch)
    written = sum(file.stat().st_size for file in writer.files(folder, 0))
    terms = counts["dimensions"] if "dimensions" in counts else counts["postings"] / len(batch)
    return TextRate(len(batch), seconds, written / len(batch), terms)


def overlap(documents: Path, queries: Path) -> float:
    """Return the mean number of terms that a query and a passage of two folders of vectors share."""
    passages = [vector.vector.keys() for vector in read_vectors(documents)]
    found = Counter(term for terms in passages for term in terms)
    of_queries = [vector.vector.keys() for vector in read_vectors(queries)]
    return sum(found[term] for terms in of_queries for term in terms) / (len(passages) * len(of_queries))


Known = tuple[Shape, ModelRate]
"""A model that was measured."""


def like(system: System, terms: float, splade: Known | None, dense: Known | None, words: float) -> ModelRate:
    """Return the rates of a model that is not at hand, from those of a SPLADE and of a dense one that are.

    A body's time grows with its layers and the square of its hidden size, as the dense model's, which is a
    body and nothing else; the output layer's with the hidden size, as what the SPLADE model takes beside its
    body. A passage has ``terms``; a term's bytes, a query's vector and the share of terms that are found are
    the SPLADE model's. ``words``: of a query, which a dense model's prefix makes longer.

    InputError if the shape is not known, or no model is at hand to scale from.
    """
    shape = system.indexed.shape
    if shape is None:
        raise InputError("its weights are not at hand, and systems.yaml has no shape of it")
    if dense is None or (system.kind != "dense" and splade is None):
        raise InputError("its weights are not at hand, nor those of models that its time would follow from")
    of_body = {part: rate.seconds / _body(dense[0]) for part, rate in _parts(dense[1]).items()}
    if system.kind == "dense":
        longer = (words + len(system.query_prefix.split()) + MARKS) / (words + MARKS)
        seconds = {part: of * _body(shape) for part, of in of_body.items()}
        return replace(
            dense[1],
            memory=_memory(shape, dense),
            documents=replace(
                dense[1].documents,
                seconds=seconds["documents"],
                terms=float(shape.hidden),
            ),
            queries=replace(dense[1].queries, seconds=seconds["queries"] * longer, terms=float(shape.hidden)),
        )
    assert splade is not None
    of_shape, rate = splade
    seconds = {}
    for part, known in _parts(rate).items():
        output = max(0.0, known.seconds - of_body[part] * _body(of_shape)) / of_shape.hidden
        seconds[part] = of_body[part] * _body(shape) + output * shape.hidden
    more = terms / rate.documents.terms
    return ModelRate(
        rate.start,
        _memory(shape, splade),
        replace(rate.documents, seconds=seconds["documents"], bytes=rate.documents.bytes * more, terms=terms),
        replace(rate.queries, seconds=seconds["queries"]),
        None if rate.overlap is None else rate.overlap * more,
    )


def _parts(rate: ModelRate) -> Mapping[str, TextRate]:
    return {"documents": rate.documents, "queries": rate.queries}


def _body(shape: Shape) -> int:
    return shape.layers * shape.hidden**2


def parameters(shape: Shape) -> int:
    """Return the number of weights of a BERT's layers and of its tokens' embeddings: nearly all of them."""
    return 12 * _body(shape) + VOCABULARY * shape.hidden


def _memory(shape: Shape, known: Known) -> int:
    more = parameters(shape) - parameters(known[0])
    return max(0, known[1].memory + COPIES * 4 * more)
