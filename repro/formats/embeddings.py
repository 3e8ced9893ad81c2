"""Shards of embeddings, as ``python -m repro.encode`` writes them: ``part-00000.npy`` with its ``part-00000.ids``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from repro.base.errors import InputError


def write_embeddings(folder: Path, number: int, ids: list[str], vectors: np.ndarray) -> None:
    """Write one shard of embeddings (float32, texts x dimensions) with the ids of its rows."""
    (folder / f"part-{number:05d}.ids").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
    np.save(folder / f"part-{number:05d}.npy", vectors.astype(np.float32, copy=False))


def read_embeddings(folder: Path) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield (ids, vectors) of each shard, the vectors mapped from the disk; InputError if there is none."""
    shards = sorted(folder.glob("part-*.npy"))
    if not shards:
        raise InputError(f"{folder} holds no embeddings (part-*.npy); make them with python -m repro.encode")
    for path in shards:
        ids = path.with_suffix(".ids").read_text(encoding="utf-8").split("\n")[:-1]
        yield ids, np.load(path, mmap_mode="r")
