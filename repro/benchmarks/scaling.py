"""Indexing and searching at sizes that are not at hand: vectors drawn from the real ones' distribution."""

import itertools
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.progress import track
from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import SECONDS, Figures, Work
from repro.formats.drawn_vectors import KEPT, draw_vectors
from repro.formats.impact_vectors import SHARD_DOCUMENTS, read_vectors, shard_path, write_shard


def name(size: int) -> str:
    """Return the name of the contestant of a size."""
    return f"{size:,} documents"


def draw(vectors: Path, fingerprint: str, folder: Path, sizes: Sequence[int]) -> None:
    """Write vectors, as many as the largest size, to ``folder``/drawn, unless they are there.

    Each is mixed of two real ones, so that terms are as frequent, and vectors as long, as theirs; the same
    vectors each time. ``fingerprint`` is that of the real ones.
    """
    inputs = {"encoded": fingerprint, "sizes": sorted(sizes), "kept": KEPT, "shard": SHARD_DOCUMENTS}
    artifact = Artifact(folder / "drawn", inputs)
    with artifact.making():
        if artifact.is_current():
            return
        real = [list(vector.vector.items()) for vector in read_vectors(vectors)]
        partial = artifact.begin()
        drawn = track(draw_vectors(real, max(sizes)), max(sizes), "drawing", "documents")
        for number, (start, end) in enumerate(pairwise(_cuts(sizes))):
            write_shard(shard_path(partial, number), itertools.islice(drawn, end - start))
        artifact.finish(partial)


def _cuts(sizes: Sequence[int]) -> list[int]:
    """Return where shards begin and end: at each size, too, so that its documents are whole shards."""
    return sorted({*range(0, max(sizes), SHARD_DOCUMENTS), *sizes})


def contestants(
    folder: Path, sizes: Sequence[int], queries: list[Path], hits: int, threads: int, memory: int
) -> list[Contestant]:
    """Return a contestant for each size: it indexes the first so many documents, then searches them."""
    settings = {
        "folder": str(folder),
        "sizes": list(sizes),
        "queries": [str(path) for path in queries],
        "hits": hits,
        "threads": threads,
        "memory": memory,
    }
    return [
        Contestant(name(size), f"{__name__}:index", {**settings, "size": size}, rival=False) for size in sizes
    ]


def index(
    folder: str, sizes: list[int], queries: list[str], hits: int, threads: int, memory: int, size: int
) -> Work:
    """Index the first ``size`` documents, then search."""
    from repro.base.files import folder_bytes, remove
    from repro.benchmarks.searching import encoded
    from repro.lucene.indexing import Indexing, build_impact_index
    from repro.lucene.searching import BatchSearcher, impact_query

    vectors, to = Path(folder) / f"first-{size}", Path(folder) / f"index-{size}"
    remove(vectors)
    vectors.mkdir()
    for shard in range(_cuts(sizes).index(size)):
        source = shard_path(Path(folder) / "drawn", shard)
        (vectors / source.name).symlink_to(source)
    built = [impact_query(vector) for vector in encoded(queries).values()]

    def work() -> tuple[int, Figures]:
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
            SECONDS: indexed,
            "indexing s": round(indexed, 1),
            "index MB": round(folder_bytes(to) / 1e6, 1),
            "queries/s": round(len(built) / searched, 1),
        }

    return work
