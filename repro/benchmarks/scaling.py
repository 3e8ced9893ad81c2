"""Indexing and searching at sizes that are not at hand: vectors drawn from the real ones' distribution."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from repro.base.progress import bar
from repro.benchmarks.contest import Contestant
from repro.formats.impact_vectors import SHARD_DOCUMENTS, ImpactVector, read_vectors, write_shard

KEPT = 0.75
"""A drawn passage has each of one real passage's terms with this probability, each of another's with the rest."""


def draw(vectors: Path, folder: Path, documents: int) -> None:
    """Write ``documents`` vectors, each mixed of two real ones, so that terms are as frequent and as long as theirs.

    The same documents each time; those that are there already are kept.
    """
    real = [list(vector.vector.items()) for vector in read_vectors(vectors)]
    folder.mkdir(parents=True, exist_ok=True)

    def passage(chance: random.Random, number: int) -> ImpactVector:
        one, other = chance.choice(real), chance.choice(real)
        mixed = dict(posting for posting in other if chance.random() >= KEPT)
        mixed.update(posting for posting in one if chance.random() < KEPT)
        return ImpactVector(str(number), "", mixed)

    with bar(documents, "drawing", "documents") as progress:
        for shard in range(-(-documents // SHARD_DOCUMENTS)):
            path = folder / f"part-{shard:05d}.jsonl.gz"
            start = shard * SHARD_DOCUMENTS
            size = min(SHARD_DOCUMENTS, documents - start)
            if not path.exists():
                chance = random.Random(shard)
                write_shard(path, (passage(chance, start + i) for i in range(size)))
            progress.update(size)


def contestants(
    folder: Path, sizes: list[int], queries: list[Path], hits: int, threads: int, memory: int
) -> list[Contestant]:
    """Return a contestant for each size: it indexes the first so many documents, then searches them."""
    settings = {
        "folder": str(folder),
        "queries": [str(path) for path in queries],
        "hits": hits,
        "threads": threads,
        "memory": memory,
    }
    return [
        Contestant(f"{size:,} documents", "scaling:index", {**settings, "size": size}, rival=False)
        for size in sizes
    ]


def index(
    folder: str, queries: list[str], hits: int, threads: int, memory: int, size: int
) -> Callable[[], tuple]:
    """Index the first ``size`` documents, then search."""
    from repro.base.files import folder_bytes, remove
    from repro.benchmarks.searching import encoded
    from repro.lucene.indexing import Indexing, build_impact_index
    from repro.lucene.searching import BatchSearcher, impact_query

    if size % SHARD_DOCUMENTS and size > SHARD_DOCUMENTS:
        raise ValueError(f"--sizes: take multiples of {SHARD_DOCUMENTS:,}")
    vectors, to = Path(folder) / f"first-{size}", Path(folder) / f"index-{size}"
    remove(vectors)
    vectors.mkdir()
    for shard in range(-(-size // SHARD_DOCUMENTS)):
        name = f"part-{shard:05d}.jsonl.gz"
        (vectors / name).symlink_to(Path(folder).resolve() / name)
    built = [impact_query(vector) for vector in encoded(queries).values()]

    def work() -> tuple[int, dict]:
        remove(to)
        to.mkdir()
        started = time.perf_counter()
        build_impact_index(vectors, to, size, Indexing(threads, memory), {})
        indexed = time.perf_counter() - started
        with BatchSearcher(to, threads) as searcher:
            started = time.perf_counter()
            for first in range(0, len(built), 256):
                list(searcher.search(built[first : first + 256], hits))
            searched = time.perf_counter() - started
        return size, {
            "seconds": indexed,
            "indexing s": round(indexed, 1),
            "index MB": round(folder_bytes(to) / 1e6, 1),
            "queries/s": round(len(built) / searched, 1),
        }

    return work
