"""The compiled search beside block-max pruning (Mallia et al. 2024, the PyPI package ``bmp``), a thread each.

Both search the same postings of drawn vectors, with queries as ``bmp`` weighs them, at its exact settings
(alpha 1, beta 1). Seconds are those of the processor, so that a busy machine divides both alike.
"""

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import folder_bytes, write_json
from repro.benchmarks.contest import Contestant
from repro.benchmarks.racing import Record, race
from repro.benchmarks.request import BenchRequest
from repro.benchmarks.scaling import FEW_HITS, link_first
from repro.benchmarks.searching import encoded
from repro.benchmarks.worker import SECONDS, Figures, Work
from repro.cli.export_options import CiffOptions

BITS = 8
"""``bmp`` holds an impact in so many."""
LARGEST_WEIGHT = 32
"""Of a query's terms, in ``bmp``; all weights are scaled to it and rounded up."""
UNIT = "queries a processor-second"

Found = list[tuple[list[str], list[float]]]
"""Of each query the docids, best first, and their scores."""


def weighed(query: dict[str, int]) -> dict[str, int]:
    """Return the weights that ``bmp`` gives a query's terms, in its 32-bit floats."""
    scale = np.float32(LARGEST_WEIGHT) / np.float32(max(query.values()))
    return {term: int(np.ceil(np.float32(weight) * scale)) for term, weight in query.items()}


def race_sizes(request: BenchRequest, drawn: Artifact, queries: list[Path]) -> tuple[Record, str]:
    """Race at all sizes that are asked for, with few hits and with ``--hits``; return records and tables."""
    if importlib.util.find_spec("bmp") is None:
        reason = "bmp was not raced: it is not installed (pip install bmp)"
        return {"block_max": reason}, reason
    options, records, texts = request.options, list[Record](), list[str]()
    for size in options.sizes:
        made = make(drawn, options.sizes, size, options.memory)
        for k in sorted({FEW_HITS, options.hits}):
            what = made, options.blocks, queries, options.every, k
            record, text = race(
                request, contestants(*what), UNIT, partial(check, *what), alone=True, size=size
            )
            records.append(record)
            texts += [f"{size:,} documents, {k:,} hits, one thread:", text]
    differing = sum(record["differing"] for record in records)
    return {"block_max": records, "differing": differing}, "\n\n".join(texts)


def make(drawn: Artifact, sizes: Sequence[int], size: int, memory: int) -> Path:
    """Return where the first ``size`` of what ``scaling.draw`` drew for ``sizes`` lie to be searched.

    In it are ``postings``, and ``index.ciff`` of the same, documents in the order of the vectors; made unless
    that was done. InputError if an impact is too large for ``bmp``.
    """
    from repro.exporting.ciff import write_index
    from repro.lucene.indexing import Indexing, build_impact_index
    from repro.postings.building import build_postings

    folder, inputs = drawn.path.parent, {"drawn": drawn.fingerprint, "size": size, "bits": BITS}
    artifact = Artifact(folder / f"searched-{size}", inputs)
    with artifact.making():
        if not artifact.is_current():
            begun = artifact.begin()
            index, postings = begun / "index", begun / "postings"
            index.mkdir()
            postings.mkdir()
            vectors = link_first(folder, sizes, size)
            build_impact_index(vectors, index, size, Indexing(1, memory), {})  # several threads mix the order
            build_postings(index, postings)
            cost = write_index(index, begun / "index.ciff", CiffOptions(bits=BITS)).cost
            if cost["inexact"]:
                raise InputError(
                    f"impacts up to {cost['greatest']:,} do not fit bmp's byte; leave out --blocks"
                )
            artifact.finish(begun)
    return artifact.path


def contestants(
    made: Path, blocks: Sequence[int], queries: list[Path], every: int, k: int
) -> list[Contestant]:
    """Return ours, and ``bmp`` with each size of blocks; they search with every ``every``-th query."""
    settings = {"made": str(made), "queries": [str(path) for path in queries], "every": every, "k": k}
    peers = [Contestant(name(block), f"{__name__}:bmp", {**settings, "block": block}) for block in blocks]
    return [Contestant("repro, compiled", f"{__name__}:repro", settings, ours=True), *peers]


def name(block: int) -> str:
    """Return the name of the contestant with blocks of so many documents."""
    return f"bmp, blocks of {block}"


def repro(made: str, queries: list[str], every: int, k: int) -> Work:
    """This project's compiled search."""
    search, size = _ours(Path(made), asked(queries, every), k), folder_bytes(Path(made) / "postings")
    return _timed(search, size)


def bmp(made: str, queries: list[str], every: int, k: int, block: int) -> Work:
    """``bmp``'s searcher, of an index that it makes of the CIFF file; leaves what it found for ``check``."""
    from bmp import Searcher, ciff2bmp

    index = Path(made) / f"blocks-{block}.bmp"
    if not index.exists():
        begun = index.with_suffix(".partial")
        ciff2bmp(f"{made}/index.ciff", str(begun), block, False)
        begun.rename(index)
    searcher = Searcher(str(index))
    vectors = [{term: float(weight) for term, weight in query.items()} for query in asked(queries, every)]

    def search() -> Found:
        return [searcher.search(vector, k=k, alpha=1.0, beta=1.0) for vector in vectors]

    write_json(_found(Path(made), block, k), search())
    return _timed(search, index.stat().st_size)


def check(made: Path, blocks: Sequence[int], queries: list[Path], every: int, k: int) -> Record:
    """Compare the scores of each rank; ``differing`` counts queries for which a peer found better ones.

    ``bmp`` 0.2.8 never scores the last of the blocks that it has ordered by their bounds, so that a hit may
    be missing among its own, where it has to score all others.
    """
    ours, told, wrong = _ours(made, asked([str(path) for path in queries], every), k)(), [], 0
    for block in blocks:
        if not (path := _found(made, block, k)).exists():  # it has left the race, which tells why
            continue
        equal, theirs = 0, json.loads(path.read_text(encoding="utf-8"))
        for mine, (docids, scores) in zip(ours, theirs, strict=True):
            equal += mine[1] == scores
            wrong += _is_wrong(mine, docids, scores)
        told.append(f"{equal:,} of {len(ours):,} with {name(block)}")
    text = f"Queries whose scores are the same at each rank: {', '.join(told) or 'none'}."
    return {"queries": len(ours), "hits": k, "differing": wrong, "check": text}


def _is_wrong(mine: tuple[list[str], list[float]], docids: list[str], scores: list[float]) -> bool:
    """Tell whether a peer has found a better document at any rank, or another score of one."""
    if len(scores) > len(mine[1]) or any(theirs > own for theirs, own in zip(scores, mine[1])):
        return True
    own = dict(zip(*mine))
    return any(own.get(docid, score) != score for docid, score in zip(docids, scores))


def asked(queries: list[str], every: int) -> list[dict[str, int]]:
    """Return every ``every``-th query with a term, its impacts as they are."""
    return [vector for vector in list(encoded(queries).values())[::every] if vector]


def _ours(made: Path, queries: list[dict[str, int]], k: int) -> Callable[[], Found]:
    from repro.lucene.searching import impact_query
    from repro.postings.searching import PostingsSearcher

    searcher = PostingsSearcher(made / "postings", 1)
    built = [impact_query(weighed(query)) for query in queries]
    return lambda: [(ranking.docids, ranking.scores.tolist()) for ranking in searcher.search(built, k)]


def _found(made: Path, block: int, k: int) -> Path:
    return made / f"blocks-{block}.{k}-hits.json"


def _timed(search: Callable[[], Found], size: int) -> Work:
    def work() -> tuple[int, Figures]:
        started, used = time.perf_counter(), time.process_time()
        items = len(search())
        used, wall = time.process_time() - used, time.perf_counter() - started
        figures = {"CPU ms": 1000 * used / items, "wall ms": 1000 * wall / items, "index MB": size / 1e6}
        return items, {SECONDS: used, **{column: round(value, 3) for column, value in figures.items()}}

    return work
