"""Measure what indexing and searching take: small indexes of two sizes, by the engines that build the large.

Passages are mixed of two real ones, so that terms are as frequent, and texts as long, as theirs. A query's
cost is a line through the two sizes, over the postings that it visits (of BM25 and dense vectors: over the
documents).
"""

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from repro.base.files import own_bytes
from repro.base.memory import peak_memory
from repro.cli.options import IndexingOptions, SystemOptions
from repro.collections.model import Document, Query
from repro.engines import ENGINES
from repro.engines.protocol import IndexRequest, Results, SearchRequest
from repro.forecast.rates import IndexRate, Line, SearchRate
from repro.formats.drawn_vectors import KEPT, draw_vectors
from repro.formats.flat_vectors import append_batches
from repro.formats.impact_vectors import ImpactVector, read_vectors, shard_path, write_shard
from repro.formats.runs import write_run

SIZES = {"impacts": (2_000, 20_000), "bm25": (1_000, 8_000), "dense": (2_000, 20_000)}
"""Documents of the two indexes."""
SHALLOW = 100
"""Hits that a query has in the smaller index, too; a thousand it may not have, and fewer cost less."""
PASSES = 3
QUERIES = 256
"""Queries that are searched with, those at hand again and again."""

Rates = tuple[IndexRate, SearchRate]


@dataclass(frozen=True)
class Searched:
    """An index that was built and searched: seconds of building, bytes of its own, and a query's seconds for
    SHALLOW hits and for all that are asked for.
    """

    building: float
    bytes: int
    shallow: float
    deep: float


def measure_impacts(
    begun: float, vectors: Path, options: SystemOptions, threads: int, folder: Path
) -> Iterator[Rates]:
    """Yield the rates of impact indexes, from encoded passages and queries in ``vectors``; units are postings
    in the index, and those that a query visits.
    """
    from repro.lucene.java import start_jvm

    building = IndexingOptions()
    start_jvm(building.memory)
    start = time.time() - begun
    passages = list(read_vectors(vectors / "documents"))
    real = [list(passage.vector.items()) for passage in passages]
    queries = list(read_vectors(vectors / "queries"))
    asked = folder / "queries"
    asked.mkdir()
    write_shard(shard_path(asked, 0), itertools.islice(itertools.cycle(queries), QUERIES))
    often = Counter(term for query in queries for term in query.vector)
    engine, found, postings, visited = ENGINES["splade"], [], [], []
    assert engine.encodes
    for size in SIZES["impacts"]:
        drawn, of = folder / f"drawn-{size}", Counter[str]()
        drawn.mkdir()
        write_shard(shard_path(drawn, 0), _counted(draw_vectors(real, size, passages[0].contents), of))
        postings.append(float(of.total()))
        visited.append(sum(of[term] * queries_of for term, queries_of in often.items()) / len(queries))
        request = IndexRequest(size, options, building, threads, {})

        def build(to: Path, drawn: Path = drawn, request: IndexRequest = request) -> None:
            engine.build_index(drawn, request, to)

        to = folder / f"index-{size}"
        found.append(_searched(to, build, lambda of, stack: engine.search(asked, of, stack), request))
    yield _lucene_rates(start, found, postings, visited, building.memory)


def _counted(vectors: Iterator[ImpactVector], terms: Counter[str]) -> Iterator[ImpactVector]:
    """Yield vectors, and count in how many of them each term stands."""
    for vector in vectors:
        terms.update(vector.vector.keys())
        yield vector


def measure_bm25(
    begun: float,
    documents: list[Document],
    queries: list[Query],
    options: SystemOptions,
    threads: int,
    folder: Path,
) -> Iterator[Rates]:
    """Yield BM25's rates, from texts; units are documents."""
    from repro.lucene.java import default_heap, start_jvm

    start_jvm()
    start = time.time() - begun
    asked = list(itertools.islice(itertools.cycle(queries), QUERIES))
    engine, found, written = ENGINES["bm25"], [], []
    assert not engine.encodes and not engine.combines
    for size in SIZES["bm25"]:
        request = IndexRequest(size, options, IndexingOptions(), threads, {})
        written.append(sum(len(text.encode()) for _, text in _drawn_texts(documents, size)))

        def build(to: Path, size: int = size, request: IndexRequest = request) -> None:
            engine.build_index(_drawn_texts(documents, size), request, to)

        to = folder / f"index-{size}"
        found.append(_searched(to, build, lambda of, stack: engine.search(asked, of, stack), request))
    units = [float(size) for size in SIZES["bm25"]]
    index, search = _lucene_rates(start, found, units, units, default_heap())
    texts = Line.through((units[0], units[1]), (written[0], written[1]))
    # Anserini reads files: the texts lie beside the index, which is merged into one segment at the end
    scratch = Line(index.scratch.fixed + texts.fixed, index.scratch.slope + texts.slope)
    yield IndexRate(**{**vars(index), "scratch": scratch}), search


def measure_dense(
    begun: float, dimensions: int, options: SystemOptions, threads: int, folder: Path
) -> Iterator[Rates]:
    """Yield the rates of FAISS indexes of random vectors; units are the numbers in the vectors, and the
    documents.
    """
    import faiss  # noqa: F401

    start, rng = time.time() - begun, np.random.default_rng(0)
    base = round(peak_memory() * 2**20)
    asked = folder / "queries"
    asked.mkdir()
    append_batches(asked, [([str(i) for i in range(QUERIES)], _vectors(rng, QUERIES, dimensions))])
    engine, found = ENGINES["dense"], []
    assert engine.encodes
    for size in SIZES["dense"]:
        drawn = folder / f"drawn-{size}"
        drawn.mkdir()
        append_batches(drawn, [([str(i) for i in range(size)], _vectors(rng, size, dimensions))])
        request = IndexRequest(size, options, IndexingOptions(), threads, {})

        def build(to: Path, drawn: Path = drawn, request: IndexRequest = request) -> None:
            engine.build_index(drawn, request, to)

        to = folder / f"index-{size}"
        found.append(_searched(to, build, lambda of, stack: engine.search(asked, of, stack), request))
    near, far = SIZES["dense"]
    numbers = (float(near * dimensions), float(far * dimensions))
    seconds, size_of = (_line(numbers, found, name) for name in ("building", "bytes"))
    query = query_line((near, far), found)
    index = IndexRate(start, seconds, size_of, Line(0, 0), base, base, numbers[1])
    yield index, SearchRate(start, query, base)


def _searched(
    to: Path,
    build: Callable[[Path], None],
    search: Callable[[SearchRequest, ExitStack], Results],
    request: IndexRequest,
) -> Searched:
    """Build an index, twice if it is a process's first, in which Java compiles; then search it, each time
    the quickest of three passes.
    """
    first = to.with_name("first")
    for place in [to] if first.exists() else [first, to]:
        place.mkdir()
        started = time.perf_counter()
        build(place)
        building = time.perf_counter() - started
    asked = request.options.search

    def seconds(hits: int) -> float:
        options = replace(request.options, search=replace(asked, hits=hits))
        with ExitStack() as stack:
            results = search(SearchRequest(to, options, request.threads), stack)
            started = time.perf_counter()
            write_run(to.with_name(f"{to.name}.trec"), results, "calibration")
            return (time.perf_counter() - started) / QUERIES

    shallow = min(seconds(min(SHALLOW, asked.hits)) for _ in range(PASSES))
    deep = min(seconds(asked.hits) for _ in range(PASSES))
    return Searched(building, own_bytes(to), shallow, deep)


def query_line(units: tuple[float, float], found: Sequence[Searched]) -> Line:
    """Return a query's seconds: they grow with units as with few hits, which both indexes have, and come to
    those with all hits at the larger one.
    """
    slope = _line(units, found, "shallow").slope
    return Line(max(0.0, found[1].deep - slope * units[1]), slope)


def _lucene_rates(
    start: float, found: Sequence[Searched], units: list[float], visited: list[float], heap: int
) -> Rates:
    """Return the rates of Lucene indexes; when segments are merged, both old and new lie on the disk."""
    from jnius import autoclass

    indexed, searched = (units[0], units[1]), (visited[0], visited[1])
    size = _line(indexed, found, "bytes")
    peak = round(peak_memory() * 2**20)
    used = autoclass("java.lang.Runtime").getRuntime().totalMemory()
    most = max(peak, peak - used + heap * 2**20)
    index = IndexRate(start, _line(indexed, found, "building"), size, size, peak, most, indexed[1])
    return index, SearchRate(start, query_line(searched, found), peak)


def _line(units: tuple[float, float], found: Sequence[Searched], name: str) -> Line:
    return Line.through(units, (getattr(found[0], name), getattr(found[1], name)))


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
