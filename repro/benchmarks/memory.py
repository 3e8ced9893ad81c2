"""Peak memory and time of stages at growing sizes: real passages encoded, drawn vectors indexed and searched.

Impact indexes, their postings and searches are those of ``scaling``.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from repro.artifacts.store import Artifact
from repro.base.files import remove
from repro.base.progress import bar
from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import SECONDS, Figures, Work
from repro.cli.options import CollectionOptions, SystemOptions
from repro.collections.opening import open_collection
from repro.engines import ENGINES
from repro.engines.protocol import WINDOW, Text
from repro.formats.flat_vectors import ROWS, append_batches
from repro.models.systems import find_system
from repro.models.weights import resolve

DIMENSIONS, QUERIES = 768, 1000
"""Of drawn vectors: those of the table's largest dense model, and the queries that are searched with."""
KINDS = ("flat", "float16")
"""Dense indexes whose memory does not grow with the collection."""


def encoders(
    systems: Sequence[str], collection: CollectionOptions, limit: int, folder: Path, threads: int
) -> list[Contestant]:
    """Return a contestant for each system and each of ``limit`` passages, a third and a ninth of them."""
    found = []
    texts = open_collection(collection.collection, collection.split).documents()
    limit = sum(1 for _ in itertools.islice(texts, limit))
    for system, size in itertools.product(systems, sorted({max(1, limit // of) for of in (9, 3, 1)})):
        settings = {
            "system": system,
            "collection": collection.collection,
            "split": collection.split,
            "size": size,
            "folder": str(folder / "encoded"),
            "threads": threads,
        }
        name = f"encoding, {system}, {size:,} passages"
        found.append(Contestant(name, f"{__name__}:encode", settings, rival=False))
    return found


def dense(sizes: Sequence[int], folder: Path, hits: int, threads: int) -> list[Contestant]:
    """Return contestants that index and search the drawn vectors of each size."""
    found = []
    for kind, size in itertools.product(KINDS, sizes):
        settings = {"folder": str(folder), "kind": kind, "size": size, "threads": threads}
        name = f"dense index, {kind}, {size:,} vectors"
        found.append(Contestant(name, f"{__name__}:index", settings, rival=False))
    for size in sizes:
        settings = {"folder": str(folder), "size": size, "hits": hits, "threads": threads}
        name = f"dense search, flat, {size:,} vectors"
        found.append(Contestant(name, f"{__name__}:search", settings, rival=False))
    return found


def draw(folder: Path, sizes: Sequence[int]) -> None:
    """Write random vectors of length 1 to ``folder``: of each size, and queries; unless they are there."""
    for count in (*sizes, QUERIES):
        artifact = Artifact(_drawn(folder, count), {"vectors": count, "dimensions": DIMENSIONS})
        with artifact.making():
            if not artifact.is_current():
                partial = artifact.begin()
                append_batches(partial, _vectors(count))
                artifact.finish(partial)


def encode(system: str, collection: str, split: str | None, size: int, folder: str, threads: int) -> Work:
    """Encode the first ``size`` passages as ``repro.encode`` does, chunk after chunk, into one shard."""
    of = find_system(system)
    engine = ENGINES[of.kind]
    if not engine.encodes:
        raise ValueError(f"{system} encodes nothing")
    writer = engine.open_encoder(of, resolve(of), SystemOptions(), threads)

    def work() -> int:
        to = Path(folder)
        remove(to)
        to.mkdir(parents=True)
        texts = itertools.islice(open_collection(collection, split).documents(), size)
        return writer.write(to, 0, _chunks(texts), "documents")["texts"]

    return _timed(work)


def index(folder: str, kind: str, size: int, threads: int) -> Work:
    """Build a dense index of the drawn vectors, as ``repro.index`` does."""
    from repro.dense.indexing import build_index

    to = Path(folder) / f"index-{kind}"

    def work() -> int:
        remove(to)
        to.mkdir()
        return build_index(_drawn(Path(folder), size), to, kind, threads, size)["documents"]

    return _timed(work)


def search(folder: str, size: int, hits: int, threads: int) -> Work:
    """Search the drawn vectors, which are a flat index as they lie, and read all hits."""
    from repro.dense.searching import DenseSearcher

    searcher = DenseSearcher(_drawn(Path(folder), size), threads)

    def work() -> int:
        return sum(1 for _ in searcher.search_all(_drawn(Path(folder), QUERIES), hits))

    return _timed(work)


def _timed(work: Callable[[], int]) -> Callable[[], tuple[int, Figures]]:
    """Return the work with its seconds as a figure that is shown, too."""

    def timed() -> tuple[int, Figures]:
        started = time.perf_counter()
        items = work()
        seconds = time.perf_counter() - started
        return items, {SECONDS: seconds, "s": round(seconds, 2)}

    return timed


def _drawn(folder: Path, count: int) -> Path:
    return folder / f"drawn-{count}"


def _vectors(count: int) -> Iterator[tuple[list[str], np.ndarray]]:
    rng = np.random.default_rng(count)
    with bar(count, "drawing", "vectors") as progress:
        for start in range(0, count, ROWS):
            rows = min(ROWS, count - start)
            drawn = rng.standard_normal((rows, DIMENSIONS), np.float32)
            yield (
                [str(number) for number in range(start, start + rows)],
                drawn / np.linalg.norm(drawn, axis=1, keepdims=True),
            )
            progress.update(rows)


def _chunks(texts: Iterator[Text]) -> Iterator[list[Text]]:
    while chunk := list(itertools.islice(texts, WINDOW)):
        yield chunk
