"""Encode a collection's documents and queries into shards; finished shards of an interrupted run are kept.

A machine that has only a share of the documents to encode (``sharing``) writes its shards as here, too.
"""

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from tqdm import tqdm

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.energy import UNRECORDED, Energy, EnergyMeter, add
from repro.base.errors import InputError
from repro.base.files import flush, remove
from repro.base.progress import bar, note
from repro.cli.options import WorkOptions
from repro.engines import check_precision
from repro.engines.protocol import EncodingEngine, ShardWriter, Text
from repro.models.weights import Weights
from repro.pipeline.linking import link_model
from repro.pipeline.sources import held


class Finished(TypedDict):
    """The whole shards of a folder, in their order, and the time and energy that they took."""

    shards: list[dict[str, Any]]
    seconds: float
    energy: Energy


@dataclass(frozen=True)
class Portion:
    """The texts that one process encodes: those from ``start`` to before ``end``, into shards of
    ``shard_size``, the first of them numbered ``first``.
    """

    shard_size: int
    start: int
    end: int
    first: int = 0


def encode(
    of: SystemArtifacts, work: WorkOptions, shard_size: int, only: str | None = None
) -> list[Artifact]:
    """Make the encoded documents and queries that are missing or outdated; return both (or ``only`` one).

    Where queries are encoded by themselves, that is the documents unless ``only`` says queries. InputError if
    the system encodes nothing, or the index that weighs the queries is missing or outdated.
    """
    engine, weights = encoding_engine(of)
    parts = {"documents": of.documents, "queries": of.queries}
    if engine.weighs_by_index:
        only = only or "documents"
    parts = {part: artifact for part, artifact in parts.items() if only in (None, part)}
    writer: ShardWriter | None = None
    for part, artifact in parts.items():
        if not work.force and artifact.is_current():
            continue
        with contextlib.ExitStack() as locks:
            if part == "queries" and of.weighed_by_index:
                locks.enter_context(held(of.index, "repro.index", of.system, work.wait))
            locks.enter_context(artifact.making(work.wait))
            if work.force or not artifact.is_current():
                if writer is None:  # one model for documents and queries alike
                    index = of.index.path if part == "queries" and engine.weighs_by_index else None
                    writer = engine.open_encoder(of.system, weights, of.options, work.threads, index)
                texts = of.corpus.documents if part == "documents" else len(of.topics)
                portion = Portion(shard_size, 0, texts)
                written = write_shards(writer, part, artifact, of, portion, resume=not work.force)
                finish(part, artifact, of, *written, writer.parameters, work.threads)
    link_model(of)
    return list(parts.values())


def encoding_engine(of: SystemArtifacts) -> tuple[EncodingEngine, Weights]:
    """Return the engine and the weights that a system encodes with; InputError if it encodes nothing."""
    if of.engine.combines:
        raise InputError(
            f"{of.system.name} encodes nothing, it combines runs: encode the systems that it is made of "
            "instead"
        )
    if not of.engine.encodes or of.weights is None:
        raise InputError(f"{of.system.name} encodes nothing; run python -m repro.index on it straight away")
    check_precision(of.system, of.options.encoding)
    return of.engine, of.weights


def write_shards(
    writer: ShardWriter, part: str, artifact: Artifact, of: SystemArtifacts, portion: Portion, resume: bool
) -> tuple[Path, Finished]:
    """Encode a portion of ``part`` (documents or queries) into a partial folder of ``artifact``; return it,
    and its shards.

    InputError if the collection has not the texts that were counted.
    """
    texts: Iterator[Text] = of.collection.documents() if part == "documents" else iter(of.topics)
    total = portion.end - portion.start
    whole = total == (of.corpus.documents if part == "documents" else len(of.topics))
    folder = artifact.begin(resume)
    finished = _take_over(writer, folder, artifact.pieces(folder), portion.first)
    done = sum(shard["texts"] for shard in finished["shards"])
    if done:
        note(f"going on after {done:,} of {total:,} {part} that were encoded before")
    # All of them are read to the end: there may be more than were counted.
    texts = itertools.islice(texts, portion.start + done, None if whole else portion.end)
    started, before = time.perf_counter(), finished["energy"]
    with bar(total, f"encoding {part}", part) as progress, EnergyMeter() as meter:
        progress.update(done)
        while shard := list(itertools.islice(texts, 1)):
            rest = itertools.islice(texts, portion.shard_size - 1)
            chunks = _chunks(itertools.chain(shard, rest), writer.window, progress)
            number = portion.first + len(finished["shards"])
            counts = writer.write(folder, number, chunks, part)
            for path in [*writer.files(folder, number), folder]:
                flush(path, below=False)
            finished["shards"].append({**counts, "settings": writer.settings})
            finished["seconds"] += time.perf_counter() - started
            finished["energy"] = add(before, meter.record())
            started = time.perf_counter()
            artifact.save_pieces(folder, finished)
    made = sum(shard["texts"] for shard in finished["shards"])
    if made != total:
        artifact.save_pieces(folder, None)  # they are of another collection
        raise InputError(
            f"{of.collection.name} changed while it was read: {made:,} {part}, {total:,} before; run it again"
        )
    return folder, finished


def _take_over(writer: ShardWriter, folder: Path, pieces: object, first: int) -> Finished:
    """Return the finished shards of a partial folder, numbered from ``first``, and remove all else from it.

    What a killed process wrote of a shard that is not listed would be read by Anserini, too. A list that is
    damaged, or whose files are not all there, counts as none.
    """
    finished: Finished = {"shards": [], "seconds": 0.0, "energy": {"joules": 0.0}}
    match pieces:
        case {"shards": list(shards), "seconds": float(seconds), **others}:
            whole = all(_is_whole(shard, writer.files(folder, i)) for i, shard in enumerate(shards, first))
            if shards and whole and writer.keep(folder, sum(shard["texts"] for shard in shards)):
                energy = others.get("energy")
                energy = energy if isinstance(energy, dict) else UNRECORDED
                finished = {"shards": shards, "seconds": seconds, "energy": energy}
    numbers = range(first, first + len(finished["shards"]))
    listed = {path for number in numbers for path in writer.files(folder, number)}
    for path in folder.iterdir():
        if path not in listed:
            remove(path)
    return finished


def _is_whole(shard: object, files: list[Path]) -> bool:
    match shard:
        case {"texts": int(), "settings": dict()}:
            return all(path.is_file() for path in files)
    return False


def finish(
    part: str,
    artifact: Artifact,
    of: SystemArtifacts,
    folder: Path,
    finished: Finished,
    parameters: int,
    threads: int,
    shares: int = 1,
) -> None:
    """Put a folder of encoded texts in its place, and tell what was counted.

    ``shares``: of how many it was put together, perhaps by as many machines.
    """
    counts, seconds = _sum_counts(finished["shards"]), finished["seconds"]
    artifact.finish(folder, **facts(part, of, finished, parameters, threads), shares=shares)
    total = counts["texts"]
    note(f"{of.system.name}: {total:,} {part} of {of.collection.name}, {total / seconds:,.0f} a second")
    if counts.get("without_terms"):
        note(f"{of.system.name}: {counts['without_terms']:,} {part} have no term and can match nothing")


def facts(
    part: str, of: SystemArtifacts, finished: Finished, parameters: int, threads: int
) -> dict[str, Any]:
    """Return what a manifest says of encoded texts."""
    shards = finished["shards"]
    settings = {
        name: ", ".join(sorted({str(shard["settings"].get(name)) for shard in shards}))
        for name in shards[0]["settings"]
    }
    return {
        "system": (of.system.indexed if part == "documents" else of.system).name,
        "collection": of.collection.name,
        "weights": of.weights.record() if of.weights else None,
        "parameters": parameters,
        "settings": settings,
        "counts": _sum_counts(shards),
        "threads": threads,
        "seconds": round(finished["seconds"], 3),
        "energy": finished["energy"],
    }


def _chunks(texts: Iterable[Text], size: int, progress: tqdm) -> Iterator[list[Text]]:
    """Yield lists of ``size`` texts, and move the bar once each was dealt with."""
    texts = iter(texts)
    while chunk := list(itertools.islice(texts, size)):
        yield chunk
        progress.update(len(chunk))


def _sum_counts(shards: list[dict[str, Any]]) -> dict[str, int]:
    """Add up the shards' counts; of dense vectors, ``dimensions`` is the same in all."""
    counts = {
        name: sum(shard[name] for shard in shards)
        for name, value in shards[0].items()
        if isinstance(value, int)
    }
    if "dimensions" in counts:
        counts["dimensions"] = shards[0]["dimensions"]
    return counts
