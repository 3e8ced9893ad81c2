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
from repro.forecast.stopwatch import seconds_of
from repro.formats.runs import read_queries, write_run

LINES = 20_000
"""Of the run, if two queries do not have more."""
FIRST_DOCID = 1_000_000
"""A number of as many digits as most docids of MS MARCO."""


class Drawn:
    """Some documents as a source that can be read through."""

    local = True

    def __init__(self, documents: list[Document]) -> None:
        self.of = documents

    def documents(self) -> Iterator[Document]:
        """Yield them."""
        yield from self.of


def measure_runs(documents: list[Document], hits: int, tag: str, folder: Path) -> RunRate:
    """Return the rates, of a run with ``hits`` documents a query."""
    start, rng, run = time.process_time(), random.Random(0), folder / "run.trec"
    results, measures = [], at_level(BINARY_JUDGMENTS, 1)
    for query in range(max(2, LINES // hits)):
        found = rng.sample(range(FIRST_DOCID, FIRST_DOCID + 2 * hits), hits)
        scores = {str(docid): float(rng.randrange(2**16)) for docid in found}
        results.append((str(FIRST_DOCID + query), scores))
    qrels = {query: {next(iter(scores)): 1} for query, scores in results}
    few = results[:1]
    write_run(run, few, tag)
    evaluate(qrels, read_queries(run), measures)  # what is loaded once
    lines = hits * len(results)
    writing = seconds_of(lambda: write_run(run, results, tag), 1)
    evaluating = seconds_of(lambda: evaluate(qrels, read_queries(run), measures), 1)

    def fuse_all() -> None:
        rankings = [list(scores) for _, scores in read_queries(run)]
        for one, other in itertools.pairwise(rankings):
            fuse([one, other], hits, "anserini")

    fusing = seconds_of(fuse_all, 1)
    drawn = Collection("calibration", "calibration", Drawn(documents))  # type: ignore[arg-type]
    reading = seconds_of(lambda: read_through(drawn), 1) / len(documents)
    size, memory = run.stat().st_size / lines, round(peak_memory() * 2**20)
    return RunRate(start, writing / lines, evaluating / lines, fusing / lines, size, memory, reading)
