"""Encoders of passages to dense vectors: this project's, and Sentence Transformers'."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.benchmarks.contest import Contestant
from repro.benchmarks.encoding import BATCH_SIZES, passages, slower_levels
from repro.benchmarks.worker import Work
from repro.cli.options import CollectionOptions
from repro.compiled import native
from repro.models.systems import System, find_system

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

COMPARED = 256
"""Passages whose vectors are compared, at most."""
TOLERANCE = 1e-6
"""By how much numbers may differ, of a vector's length: sums in float32 are taken in another order."""


def contestants(
    system: str, model: Path, collection: CollectionOptions, limit: int, every: int, threads: int
) -> list[Contestant]:
    """Return ours, exact and with layers in int8, and Sentence Transformers' on the same passages.

    In bfloat16 it does not compete, and takes every ``every``-th only.
    """
    texts = {"collection": collection.collection, "split": collection.split, "limit": limit}
    common = {"system": system, "model": str(model), **texts, "threads": threads}
    ours, st = f"{__name__}:repro", f"{__name__}:sentence_transformers"
    found = [Contestant("repro", ours, common, ours=True)]
    if native.kernels() is not None:  # not exact, so it competes with nobody
        found.append(Contestant("repro, int8", ours, {**common, "int8": True}, rival=False))
    for level in slower_levels():
        name, environment = f"repro, {level.upper()} kernels", {"REPRO_NATIVE": level}
        found.append(Contestant(name, ours, common, rival=False, environment=environment))
    for dtype in ("float32", "bfloat16"):
        for size in BATCH_SIZES:
            settings = {**common, "batch_size": size, "dtype": dtype}
            if dtype == "bfloat16":
                settings["every"] = every
            name = f"SentenceTransformer, {dtype}, batch {size}"
            found.append(Contestant(name, st, settings, rival=dtype == "float32"))
    return found


def compare(
    system: str, model: Path, collection: CollectionOptions, limit: int, threads: int
) -> dict[str, Any]:
    """Return how many vectors of ours differ from Sentence Transformers' by more than TOLERANCE of their
    length, and a sentence.
    """
    import torch

    from repro.dense.encoder import DenseEncoder

    texts = passages(collection.collection, collection.split, min(limit, COMPARED))
    entry = find_system(system)
    ours = DenseEncoder(model, entry, threads).encode_documents(texts)
    torch.set_num_threads(threads)
    theirs = _library(model, entry, "float32").encode_document(
        [entry.passage_prefix + text for text in texts], batch_size=4, show_progress_bar=False
    )
    return comparison(ours, theirs)


def comparison(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """The same of vectors, texts x dimensions."""
    lengths = np.maximum(np.linalg.norm(theirs, axis=1), np.finfo(np.float32).tiny)
    distances = np.abs(ours - theirs).max(axis=1) / lengths
    differing = int((distances > TOLERANCE).sum())
    equal = f"{len(ours) - differing:,} of {len(ours):,} vectors equal Sentence Transformers' within"
    check = (
        f"{equal} {TOLERANCE:g} of their length; the largest difference of a number is {distances.max():.1e}."
    )
    return {"compared": len(ours), "differing": differing, "check": check}


def repro(
    system: str,
    model: str,
    collection: str,
    split: str | None,
    limit: int,
    threads: int,
    int8: bool = False,
) -> Work:
    """This project's encoder, on all passages."""
    from repro.dense.encoder import DenseEncoder

    texts = passages(collection, split, limit)
    encoder = DenseEncoder(Path(model), find_system(system), threads, int8)
    return lambda: len(encoder.encode_documents(texts))


def sentence_transformers(
    system: str,
    model: str,
    collection: str,
    split: str | None,
    limit: int,
    threads: int,
    batch_size: int,
    dtype: str,
    every: int = 1,
) -> Work:
    """``SentenceTransformer.encode_document`` as it is; it sorts by length, too."""
    import torch

    torch.set_num_threads(threads)
    entry = find_system(system)
    texts = [entry.passage_prefix + text for text in passages(collection, split, limit, every)]
    encoder = _library(Path(model), entry, dtype)
    return lambda: len(encoder.encode_document(texts, batch_size=batch_size, show_progress_bar=False))


def _library(model: Path, system: System, dtype: str) -> "SentenceTransformer":
    """Return the library's own encoder of a system, in which nothing is replaced."""
    from repro.dense.encoder import load

    encoder = load(model, system, dtype=dtype, device="cpu")
    if system.pooling is not None:
        positions = getattr(encoder.config, "max_position_embeddings", system.max_length)
        encoder.max_seq_length = min(system.max_length, positions)
    return encoder
