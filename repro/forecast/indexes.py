"""Measure what indexing and searching take: small indexes of two sizes, by the engines that build the large.

Passages are mixed of two real ones, so that terms are as frequent, and texts as long, as theirs. What a query
takes beyond its hits grows with what it visits, which two sizes tell from what it takes in any index.
"""

import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from repro.base.files import folder_bytes, own_bytes
from repro.base.memory import peak_memory
from repro.cli.options import IndexingOptions, SystemOptions
from repro.collections.model import Document, Query
from repro.engines import ENGINES
from repro.engines.protocol import IndexRequest, Results, SearchRequest
from repro.forecast.rates import IndexRate, Line, SearchRate, Unclear
from repro.forecast.stopwatch import seconds_of
from repro.formats.drawn_vectors import KEPT, draw_vectors
from repro.formats.flat_vectors import append_batches
from repro.formats.impact_vectors import read_vectors, shard_path, write_shard

SIZES = {"impacts": (1_500, 12_000), "bm25": (1_000, 8_000), "dense": (2_000, 16_000)}
"""Documents of the two indexes."""
SHALLOW = 10
"""Hits with which two sizes are compared: a thousand the smaller one may not have, and they cost more than it
takes to find them.
"""
PASSES = 6
QUERIES = 64
"""Queries that are searched with, those at hand again and again."""

Rates = tuple[IndexRate, SearchRate]
Search = Callable[[SearchRequest, ExitStack], Results]


@dataclass(frozen=True)
class Built:
    """An index of the calibration, and the postings in it, or other units of its size."""

    request: SearchRequest
    units: float
    bytes: int


def measure_lucene(
    vectors: Path | None,
    texts: tuple[list[Document], list[Query]] | None,
    options: SystemOptions,
    threads: int,
    compiled: bool,
    folder: Path,
) -> tuple[Rates | None, Rates | None]:
    """Return the rates of impact indexes, from encoded passages and queries in ``vectors``, and of BM25's,
    from passages and queries as texts; None where there is nothing to measure with.

    ``compiled``: postings are laid out, and these are searched. What is in memory is the heap's size at most.
    """
    from repro.lucene.java import start_jvm

    start_jvm()
    start = time.process_time()
    impacts = _impacts(vectors, options, threads, compiled, folder, start) if vectors else None
    return impacts, _bm25(*texts, options, threads, folder, start) if texts else None


def _impacts(
    vectors: Path, options: SystemOptions, threads: int, compiled: bool, folder: Path, start: float
) -> Rates:
    """Units are postings in the index, and those that a query visits."""
    from repro.postings.building import build_postings

    engine, building = ENGINES["splade"], IndexingOptions()
    assert engine.encodes
    passages = list(read_vectors(vectors / "documents"))
    real = [list(passage.vector.items()) for passage in passages]
    queries = list(read_vectors(vectors / "queries"))
    asked = _folder(folder / "queries")
    write_shard(shard_path(asked, 0), itertools.islice(itertools.cycle(queries), QUERIES))
    often = Counter(term for query in queries for term in query.vector)
    drawn = list(draw_vectors(real, max(SIZES["impacts"]), passages[0].contents))
    built, visited = [], []

    def build(size: int) -> Callable[[Path], None]:
        source = folder / f"drawn-{size}"
        if not source.exists():
            write_shard(shard_path(_folder(source), 0), drawn[:size])
        request = IndexRequest(size, options, building, threads, {})

        def work(to: Path) -> None:
            engine.build_index(source, request, to)
            if compiled:
                build_postings(to, _folder(to.with_name(f"{to.name}.postings")))

        return work

    seconds = _building(folder, "impacts", build, threads)
    for size in SIZES["impacts"]:
        to = folder / f"impacts-{size}"
        postings = to.with_name(f"{to.name}.postings") if compiled else None
        of = Counter(term for vector in drawn[:size] for term in vector.vector)
        whole = folder_bytes(to) + (folder_bytes(postings) if postings else 0)
        built.append(Built(SearchRequest(to, options, threads, postings), float(of.total()), whole))
        visited.append(sum(of[term] * count for term, count in often.items()) / len(queries))
    search = _search_rate(start, built, visited, lambda of, stack: engine.search(asked, of, stack))
    return _lucene_rate(start, built, seconds, building.memory), search


def _bm25(
    documents: list[Document],
    queries: list[Query],
    options: SystemOptions,
    threads: int,
    folder: Path,
    start: float,
) -> Rates:
    """Units are documents: their terms are as frequent at any size, so what is visited grows as they do."""
    from repro.lucene.java import default_heap

    engine = ENGINES["bm25"]
    assert not engine.encodes and not engine.combines
    asked = list(itertools.islice(itertools.cycle(queries), QUERIES))
    drawn = list(_drawn_texts(documents, max(SIZES["bm25"])))

    def build(size: int) -> Callable[[Path], None]:
        request = IndexRequest(size, options, IndexingOptions(), threads, {})
        return lambda to: void(engine.build_index(drawn[:size], request, to))

    seconds = _building(folder, "bm25", build, threads)
    requests = [(size, SearchRequest(folder / f"bm25-{size}", options, threads)) for size in SIZES["bm25"]]
    built = [Built(request, float(size), folder_bytes(request.index)) for size, request in requests]
    units = [of.units for of in built]
    search = _search_rate(start, built, units, lambda of, stack: engine.search(asked, of, stack))
    index = _lucene_rate(start, built, seconds, default_heap())
    # Anserini reads files: the texts lie beside the index, which is merged into one segment at the end
    written = sum(len(text.encode()) for _, text in drawn) / len(drawn)
    return replace(index, scratch=Line(index.scratch.fixed, index.scratch.slope + written)), search


def void(_result: object) -> None:
    """Return nothing."""


def measure_dense(dimensions: int, options: SystemOptions, threads: int, folder: Path) -> Rates:
    """Return the rates of FAISS indexes of random vectors; units are the numbers in the vectors."""
    import faiss

    from repro.dense.searching import DenseSearcher

    faiss.omp_set_num_threads(threads)
    start, rng = time.process_time(), np.random.default_rng(0)
    base, engine = round(peak_memory() * 2**20), ENGINES["dense"]
    assert engine.encodes
    queries, hits = _vectors(rng, QUERIES, dimensions), options.search.hits
    building, bytes_of, units, taken = [], [], [], []
    for size in SIZES["dense"]:
        source, to = _folder(folder / f"drawn-{size}"), _folder(folder / f"index-{size}")
        append_batches(source, [([str(i) for i in range(size)], _vectors(rng, size, dimensions))])
        started = time.perf_counter()  # it is a link, or a copy, from disk to disk
        engine.build_index(source, IndexRequest(size, options, IndexingOptions(), threads, {}), to)
        building.append(time.perf_counter() - started)
        units.append(float(size * dimensions))
        bytes_of.append(own_bytes(to))
        searcher = DenseSearcher(to, threads, options.search.ties)
        search = partial(searcher.search, queries, hits)
        taken.append([seconds_of(search, threads, alone=False) / QUERIES for _ in range(PASSES)])
    numbers = (units[0], units[1])
    index = IndexRate(
        start,
        Line(0.0, building[1] / units[1]),
        Line(0.0, bytes_of[1] / units[1]),  # none of a flat index, which is a link
        Line(0.0, 0.0),
        base,
        base,
        units[1],
    )
    line, unclear = _rising(numbers, taken)
    return index, SearchRate(start, line, base, unclear, units[1], dimensions)


def _building(folder: Path, name: str, build: Callable[[int], Callable[[Path], None]], threads: int) -> float:
    """Build both indexes as ``folder/name-size``; return the seconds of the larger.

    It is built a second time for that, and the smaller one before, so that Java has compiled.
    """
    near, far = SIZES[name]
    for size in (near, far):
        build(size)(_folder(folder / f"{name}-{size}"))
    again = _folder(folder / f"{name}-again")
    work = build(far)
    return seconds_of(lambda: work(again), threads)


def _search_rate(start: float, built: Sequence[Built], visited: list[float], search: Search) -> SearchRate:
    """Return what a query takes beside the lines of its hits, by what it visits."""
    hits = built[1].request.options.search.hits
    many = min(_searching(built[1], search, hits) for _ in range(3))
    few: list[list[float]] = [[], []]
    for _ in range(PASSES):  # in turns: Java compiles meanwhile, and what came first would be told slower
        for passes, of in zip(few, built):
            passes.append(_searching(of, search, SHALLOW))
    line, unclear = _rising((visited[0], visited[1]), few)
    peak = round(peak_memory() * 2**20)
    return SearchRate(start, with_hits(line, visited[1], many), peak, unclear, measured=visited[1])


def with_hits(line: Line, units: float, seconds: float) -> Line:
    """Return the line of a query with all hits, which took ``seconds`` at so many ``units``: it grows as the
    one with few, and more hits cost the same in any index.
    """
    return Line(max(0.0, seconds - line.slope * units), line.slope)


def _rising(units: tuple[float, float], taken: Sequence[list[float]]) -> tuple[Line, str]:
    """Return the line through the quickest passes of two sizes; or why there is none, if the next quickest
    differ from them as much as they from each other.
    """
    quickest = [sorted(passes)[:2] for passes in taken]
    noise = max(second - first for first, second in quickest)
    try:
        return Line.through(units, (quickest[0][0], quickest[1][0]), noise), ""
    except Unclear as error:
        return Line(quickest[1][0], 0.0), f"what a search takes cannot be told from noise now ({error})"


def _searching(built: Built, search: Search, hits: int) -> float:
    """Return a query's seconds with so many hits."""
    request = built.request
    options = replace(request.options, search=replace(request.options.search, hits=hits))
    with ExitStack() as stack:
        results = search(replace(request, options=options), stack)
        return seconds_of(lambda: deque(results, maxlen=0), request.threads) / QUERIES


def _lucene_rate(start: float, built: Sequence[Built], seconds: float, heap: int) -> IndexRate:
    """Return the rate of Lucene indexes; when segments are merged, both old and new lie on the disk."""
    from jnius import autoclass

    near, far = built
    size = Line.through((near.units, far.units), (near.bytes, far.bytes))
    peak = round(peak_memory() * 2**20)
    used = autoclass("java.lang.Runtime").getRuntime().totalMemory()
    most = max(peak, peak - used + heap * 2**20)
    return IndexRate(start, Line(0.0, seconds / far.units), size, size, peak, most, far.units)


def _drawn_texts(real: list[Document], documents: int) -> Iterator[Document]:
    """Yield texts whose words are those of two real ones, by ``draw_vectors``' shares."""
    words, rng = [text.split() for _, text in real], random.Random(0)
    for number in range(documents):
        one, other = rng.choice(words), rng.choice(words)
        mixed = [word for word in one if rng.random() < KEPT]
        mixed += [word for word in other if rng.random() >= KEPT]
        yield Document(str(number), " ".join(mixed) or str(number))


def _vectors(rng: np.random.Generator, count: int, dimensions: int) -> np.ndarray:
    """Return random vectors of length 1 (float32, count x dimensions)."""
    drawn = rng.standard_normal((count, dimensions), np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
