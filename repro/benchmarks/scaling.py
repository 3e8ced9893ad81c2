"""Indexing and searching at sizes that are not at hand: vectors drawn from the real ones' distribution."""

import itertools
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts.store import Artifact
from repro.base.files import folder_bytes, remove
from repro.base.progress import track
from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import SECONDS, Figures, Work
from repro.formats.drawn_vectors import KEPT, draw_vectors
from repro.formats.impact_vectors import SHARD_DOCUMENTS, read_vectors, shard_path, write_shard

if TYPE_CHECKING:
    from repro.lucene.searching import Searching

FEW_HITS = 10
"""Besides the hits that are asked for, with which search has more to do."""
BATCH = 32
"""Queries after which the other searcher has its turn."""


def name(size: int) -> str:
    """Return the name of the contestant of a size."""
    return f"{size:,} documents"


def draw(vectors: Path, fingerprint: str, folder: Path, sizes: Sequence[int]) -> Artifact:
    """Write vectors, as many as the largest size, to ``folder``/drawn, unless they are there; return them.

    Each is mixed of two real ones, so that terms are as frequent, and vectors as long, as theirs; the same
    vectors each time. ``fingerprint`` is that of the real ones.
    """
    inputs = {"encoded": fingerprint, "sizes": sorted(sizes), "kept": KEPT, "shard": SHARD_DOCUMENTS}
    artifact = Artifact(folder / "drawn", inputs)
    with artifact.making():
        if artifact.is_current():
            return artifact
        real = [list(vector.vector.items()) for vector in read_vectors(vectors)]
        partial = artifact.begin()
        drawn = track(draw_vectors(real, max(sizes)), max(sizes), "drawing", "documents")
        for number, (start, end) in enumerate(pairwise(_cuts(sizes))):
            write_shard(shard_path(partial, number), itertools.islice(drawn, end - start))
        artifact.finish(partial)
    return artifact


def _cuts(sizes: Sequence[int]) -> list[int]:
    """Return where shards begin and end: at each size, too, so that its documents are whole shards."""
    return sorted({*range(0, max(sizes), SHARD_DOCUMENTS), *sizes})


def link_first(folder: Path, sizes: Sequence[int], size: int) -> Path:
    """Return a folder of links to the first ``size`` of the vectors that were drawn for ``sizes``."""
    vectors = folder / f"first-{size}"
    remove(vectors)
    vectors.mkdir()
    for shard in range(_cuts(sizes).index(size)):
        source = shard_path(folder / "drawn", shard)
        (vectors / source.name).symlink_to(source)
    return vectors


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
    """Index the first ``size`` documents, lay the postings out, then search both with all queries."""
    from repro.benchmarks.searching import encoded
    from repro.lucene.indexing import Indexing, build_impact_index
    from repro.lucene.searching import BatchSearcher, impact_query
    from repro.postings.building import build_postings
    from repro.postings.searching import PostingsSearcher

    vectors, to = link_first(Path(folder), sizes, size), Path(folder) / f"index-{size}"
    postings = Path(folder) / f"postings-{size}"
    built = [impact_query(vector) for vector in encoded(queries).values()]

    def work() -> tuple[int, Figures]:
        for made in (to, postings):
            remove(made)
            made.mkdir()
        started = time.perf_counter()
        build_impact_index(vectors, to, size, Indexing(threads, memory), {})
        indexed = time.perf_counter() - started
        started = time.perf_counter()
        build_postings(to, postings)
        figures: Figures = {
            SECONDS: indexed,
            "indexing s": round(indexed, 1),
            "index MB": round(folder_bytes(to) / 1e6, 1),
            "postings s": round(time.perf_counter() - started, 1),
            "postings MB": round(folder_bytes(postings) / 1e6, 1),
        }
        with BatchSearcher(to, threads) as lucene, PostingsSearcher(postings, threads) as compiled:
            for k in sorted({FEW_HITS, hits}):
                figures |= compare(lucene, compiled, built, k)
        return size, figures

    return work


def compare(lucene: "Searching", compiled: "Searching", queries: list[str], k: int) -> Figures:
    """Search with both, in turns, which each begins in its turn; return the queries a second of each, and the
    ratio of processor time.

    RuntimeError if a ranking is not the same: documents, order and scores.
    """
    seconds, processor = [0.0, 0.0], [0.0, 0.0]
    both = [(0, lucene), (1, compiled)]
    for first in range(0, len(queries), BATCH):
        found = {}
        for which, searcher in both:
            started, used = time.perf_counter(), time.process_time()
            found[which] = list(searcher.search(queries[first : first + BATCH], k))
            seconds[which] += time.perf_counter() - started
            processor[which] += time.process_time() - used
        both.reverse()
        for theirs, ours in zip(found[0], found[1], strict=True):
            if theirs.docids != ours.docids or theirs.scores.tobytes() != ours.scores.tobytes():
                raise RuntimeError(f"two rankings of {k} hits differ")
    lucenes, compileds = (len(queries) / total for total in seconds)
    return {
        f"queries/s, k = {k:,}": round(lucenes, 1),
        f"compiled, k = {k:,}": round(compileds, 1),
        f"CPU x, k = {k:,}": round(processor[0] / processor[1], 2),
    }
