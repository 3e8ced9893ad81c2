"""Measure what is done to runs and texts: a drawn run written, evaluated and fused, texts read through."""

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

from repro.base.memory import peak_memory
from repro.collections.model import Collection, Document
from repro.collections.scan import read_through
from repro.engines.fusion import fuse
from repro.evaluation.measures import evaluate
from repro.evaluation.standards import BINARY_JUDGMENTS, at_level
from repro.forecast.rates import RunRate
from repro.formats.runs import read_queries, write_run

QUERIES = 100
DOCUMENTS = 100_000
"""Of them the drawn run's are taken."""


class Drawn:
    """Some documents as a source that can be read through."""

    local = True

    def __init__(self, documents: list[Document]) -> None:
        self.of = documents

    def documents(self) -> Iterator[Document]:
        """Yield them."""
        yield from self.of


def measure_runs(
    begun: float, documents: list[Document], hits: int, tag: str, folder: Path
) -> Iterator[RunRate]:
    """Yield the rates, of a run with ``hits`` documents a query."""
    rng, measures = random.Random(0), at_level(BINARY_JUDGMENTS, 1)
    start, run = time.time() - begun, folder / "run.trec"
    results = []
    for query in range(QUERIES):
        found = rng.sample(range(DOCUMENTS, 2 * DOCUMENTS), hits)
        results.append((str(DOCUMENTS + query), {str(docid): float(rng.randrange(2**16)) for docid in found}))
    lines = write_run(run, results, tag)
    qrels = {query: {next(iter(scores)): 1} for query, scores in results}
    evaluate(qrels, read_queries(run), measures)
    started = time.perf_counter()
    evaluate(qrels, read_queries(run), measures)
    evaluating = (time.perf_counter() - started) / lines
    started = time.perf_counter()
    rankings = [list(scores) for _, scores in read_queries(run)]
    for one, other in itertools.pairwise(rankings):
        fuse([one, other], hits, "anserini")
    fusing = (time.perf_counter() - started) / lines
    started = time.perf_counter()
    read_through(Collection("calibration", "calibration", Drawn(documents)))  # type: ignore[arg-type]
    reading = (time.perf_counter() - started) / len(documents)
    size = run.stat().st_size / lines
    yield RunRate(start, evaluating, fusing, size, round(peak_memory() * 2**20), reading)
