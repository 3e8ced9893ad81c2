"""Encode a collection's documents and queries with a SPLADE or dense model.

    python -m repro.encode --collection sample --system splade-tiny

SPLADE: Anserini JSON impact vectors in gzip shards. Dense: float32 embeddings. Both under <work>/encoded/, each folder
with a manifest. A run that was interrupted goes on after its last whole shard.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts.graph import Plan
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import read_json, write_json
from repro.base.progress import bar, note
from repro.cli.guard import guarded
from repro.cli.options import add_collection, add_encoding, add_work, positive
from repro.cli.stages import plan
from repro.collections.model import Document, Query
from repro.formats.impact_vectors import SHARD_DOCUMENTS, ImpactVector, write_shard

if TYPE_CHECKING:
    from repro.splade.encoder import SparseVectors

Text = Document | Query

CHUNK = 4096
"""Texts encoded at a time: what is held in memory."""


def main(argv: list[str] | None = None) -> int:
    """Parse, encode what is missing, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.encode", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--system", required=True, help="a system of the table, or splade:<model>, dense:<model>"
    )
    parser.add_argument("--only", choices=["documents", "queries"], help="encode just these (default: both)")
    parser.add_argument("--all-queries", action="store_true", help="encode queries without a judgment, too")
    parser.add_argument(
        "--shard-size", type=positive, default=SHARD_DOCUMENTS, metavar="N", help="documents in a shard"
    )
    add_encoding(parser)
    add_work(parser)
    args = parser.parse_args(argv)
    for artifact in encode(plan(args), args.only, args.force, args.threads, args.shard_size):
        print(artifact.path)
    return 0


def encode(wanted: Plan, only: str | None, force: bool, threads: int, shard_size: int) -> list[Artifact]:
    """Make the encoded documents and queries that are missing or outdated; return both (or the one in ``only``)."""
    if wanted.weights is None:
        raise InputError(
            f"{wanted.system.name} encodes nothing; run python -m repro.index on it straight away"
        )
    parts = {"documents": wanted.documents, "queries": wanted.queries}
    parts = {part: artifact for part, artifact in parts.items() if only in (None, part)}
    missing = {part: artifact for part, artifact in parts.items() if force or not artifact.is_current()}
    if missing:
        # one model for documents and queries alike
        encoder = (SpladePart if wanted.system.kind == "splade" else DensePart)(wanted, threads)
        for part, artifact in missing.items():
            if part == "documents":
                texts, total = wanted.collection.documents(), wanted.corpus.documents
            else:
                queries = wanted.collection.queries(wanted.judged_only)
                texts, total = iter(queries), len(queries)
            _encode_part(encoder, part, texts, total, artifact, wanted, shard_size, resume=not force)
    _link_model(wanted)
    return list(parts.values())


class SpladePart:
    """Encodes with a SPLADE model and writes impact vectors."""

    def __init__(self, wanted: Plan, threads: int) -> None:
        from repro.splade.encoder import SpladeEncoder

        self.scale = wanted.scale
        self.lengths = {"documents": wanted.system.max_length, "queries": wanted.system.query_max_length}
        self.prefixes = {"documents": wanted.system.passage_prefix, "queries": wanted.system.query_prefix}
        self.encoder = SpladeEncoder(wanted.weights.path, threads, wanted.precision)
        self.parameters = self.encoder.parameters
        self.settings = {"precision": wanted.precision, "method": self.encoder.method}

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict:
        """Write one shard; return its counts. A weight counts as active if it is positive, before quantisation."""
        counts = {"texts": 0, "active_terms": 0, "postings": 0, "without_terms": 0}
        write_shard(folder / f"part-{number:05d}.jsonl.gz", self._vectors(chunks, part, counts))
        return counts

    def _encode(self, chunk: list[Text], part: str) -> "SparseVectors":
        return self.encoder.encode([self.prefixes[part] + text for _, text in chunk], self.lengths[part])

    def _vectors(self, chunks: Iterable[list[Text]], part: str, counts: dict) -> Iterator[ImpactVector]:
        for chunk, encoded in _ahead(chunks, lambda chunk: self._encode(chunk, part)):
            counts["active_terms"] += len(encoded.terms)
            for (identifier, text), vector in zip(chunk, self.encoder.impact_vectors(encoded, self.scale)):
                counts["texts"] += 1
                counts["postings"] += len(vector)
                counts["without_terms"] += not vector
                yield ImpactVector(identifier, text, vector)


class DensePart:
    """Encodes with a dense model and writes embeddings."""

    def __init__(self, wanted: Plan, threads: int) -> None:
        from repro.dense.encoder import DenseEncoder

        self.encoder = DenseEncoder(wanted.weights.path, wanted.system, threads)
        self.parameters = self.encoder.parameters
        self.settings = {}

    def write(self, folder: Path, number: int, chunks: Iterable[list[Text]], part: str) -> dict:
        """Write one shard of float32 vectors; return its counts."""
        import numpy as np

        from repro.formats.embeddings import write_embeddings

        encode = self.encoder.encode_documents if part == "documents" else self.encoder.encode_queries
        ids, vectors = [], []
        for chunk in chunks:
            ids += [identifier for identifier, _ in chunk]
            vectors.append(encode([text for _, text in chunk]))
        write_embeddings(folder, number, ids, np.concatenate(vectors))
        return {"texts": len(ids), "dimensions": vectors[0].shape[1]}


def _encode_part(
    encoder: "SpladePart | DensePart",
    part: str,
    texts: Iterator[Text],
    total: int,
    artifact: Artifact,
    wanted: Plan,
    shard_size: int,
    resume: bool,
) -> None:
    """Encode documents or queries into shards; finished ones of an interrupted run are kept."""
    folder = artifact.begin(resume)
    finished = read_json(folder / "shards.json") or {"shards": [], "seconds": 0.0}
    done = sum(shard["texts"] for shard in finished["shards"])
    if done:
        note(f"going on after {done:,} of {total:,} {part} that were encoded before")
    texts = itertools.islice(texts, done, None)
    started = time.perf_counter()
    with bar(total, f"encoding {part}", part) as progress:
        progress.update(done)
        while shard := list(itertools.islice(texts, 1)):
            rest = itertools.islice(texts, shard_size - 1)
            chunks = _chunks(itertools.chain(shard, rest), progress)
            finished["shards"].append(encoder.write(folder, len(finished["shards"]), chunks, part))
            finished["seconds"] += time.perf_counter() - started
            started = time.perf_counter()
            write_json(folder / "shards.json", finished)
    if (made := sum(shard["texts"] for shard in finished["shards"])) != total:
        raise InputError(
            f"{wanted.collection.name} changed while it was read: {made:,} {part}, {total:,} before"
        )
    (folder / "shards.json").unlink()
    counts = _sum_counts(finished["shards"])
    seconds = finished["seconds"]
    artifact.finish(
        folder,
        system=wanted.system.name,
        collection=wanted.collection.name,
        weights={"source": wanted.weights.source, "sha256": wanted.weights.sha256},
        parameters=encoder.parameters,
        settings=encoder.settings,
        counts=counts,
        seconds=round(seconds, 3),
    )
    note(
        f"{wanted.system.name}: {total:,} {part} of {wanted.collection.name}, {total / seconds:,.0f} a second"
    )
    if counts.get("without_terms"):
        note(f"{wanted.system.name}: {counts['without_terms']:,} {part} have no term and can match nothing")


def _ahead(chunks: Iterable[list[Text]], encode: Callable) -> Iterator[tuple[list[Text], object]]:
    """Yield (chunk, what ``encode`` made of it), the next chunk being encoded while this one is written."""
    with ThreadPoolExecutor(1) as pool:
        pending = None
        for chunk in chunks:
            following = chunk, pool.submit(encode, chunk)
            if pending:
                yield pending[0], pending[1].result()
            pending = following
        if pending:
            yield pending[0], pending[1].result()


def _chunks(texts: Iterable[Text], progress: object) -> Iterator[list[Text]]:
    """Yield lists of CHUNK texts, and move the bar once each was dealt with."""
    texts = iter(texts)
    while chunk := list(itertools.islice(texts, CHUNK)):
        yield chunk
        progress.update(len(chunk))


def _sum_counts(shards: list[dict]) -> dict:
    """Add up the shards' counts; of dense vectors, ``dimensions`` is the same in all."""
    counts = {name: sum(shard[name] for shard in shards) for name in shards[0]}
    if "dimensions" in counts:
        counts["dimensions"] = shards[0]["dimensions"]
    return counts


def _link_model(wanted: Plan) -> None:
    """Link <work>/models/<system> to the weights: Pyserini tells a SPLADE model by 'splade' in its path."""
    link = wanted.model_link
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(wanted.weights.path.resolve(), target_is_directory=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
