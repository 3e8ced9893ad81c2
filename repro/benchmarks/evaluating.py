"""Evaluating a run as long as that of MS MARCO's dev set: ``repro.evaluate``, and the last step of
``repro.table``.

Both are measured as processes of their own, on a drawn collection whose run BM25 has made.
"""

import json
import os
import random
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.files import write_text
from repro.base.memory import megabytes
from repro.base.progress import track
from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import PEAK, SECONDS, Figures, Work
from repro.cli.options import (
    CollectionOptions,
    MeasureOptions,
    RunsOptions,
    SearchOptions,
    SystemOption,
    TableOptions,
    WorkOptions,
)
from repro.cli.stages import Stage, stage

SYSTEM = SystemOption("bm25")
MEASURES = ("RR@10", "nDCG@10", "R@1000")
VOCABULARY, DOCUMENT_WORDS, QUERY_WORDS = 50, 20, 4
"""A query shares a word with 87 % of the documents (30/50 to the 4th power has none), which are twice the
hits.
"""


@dataclass(frozen=True)
class DrawnRun:
    """A drawn collection and its run, which ``make`` makes. ``folder``, an absolute path, holds all of it."""

    folder: str
    queries: int
    hits: int

    @property
    def collection(self) -> Path:
        """A folder in BEIR's layout, with qrels in TREC's form beside."""
        return Path(self.folder) / f"drawn-{self.queries}x{self.hits}"

    @property
    def runs(self) -> Path:
        """The folder of the one run."""
        return Path(self.folder) / f"runs-{self.queries}x{self.hits}"

    def options(self) -> tuple[CollectionOptions, SearchOptions, RunsOptions, WorkOptions]:
        """Return the options that repro.search and repro.table share."""
        collection, work = CollectionOptions(str(self.collection)), WorkOptions(Path(self.folder) / "work")
        return collection, SearchOptions(hits=self.hits), RunsOptions(self.runs), work


def contestants(drawn: DrawnRun) -> list[Contestant]:
    """Return both commands; each turn is one process, its items are the lines of the run."""
    settings = asdict(drawn)
    return [
        Contestant("repro.evaluate", f"{__name__}:evaluate", settings, rival=False),
        Contestant("repro.table, last step", f"{__name__}:last_step", settings, rival=False),
    ]


def make(drawn: DrawnRun) -> None:
    """Draw the collection, index it and search it, unless that was done."""
    inputs = {"queries": drawn.queries, "hits": drawn.hits, "draw": 1}
    artifact = Artifact(drawn.collection, inputs)
    with artifact.making():
        if not artifact.is_current():
            partial = artifact.begin()
            _draw(partial, drawn)
            artifact.finish(partial)
    collection, search, runs, work = drawn.options()
    stage("repro.index", collection, SYSTEM, work).run()
    stage("repro.search", collection, SYSTEM, search, runs, work).run()


def evaluate(folder: str, queries: int, hits: int) -> Work:
    """``python -m repro.evaluate RUN --qrels FILE --measures ...``."""
    drawn = DrawnRun(folder, queries, hits)
    (run,) = drawn.runs.glob("*.trec")
    measures = MeasureOptions(measures=list(MEASURES))
    qrels = str(drawn.collection / "qrels.trec")
    return timed(stage("repro.evaluate", str(run), "--qrels", qrels, measures), queries * hits)


def last_step(folder: str, queries: int, hits: int) -> Work:
    """``python -m repro.table`` with everything made but the table."""
    drawn = DrawnRun(folder, queries, hits)
    os.chdir(folder)  # where there is no README
    table = TableOptions(systems=SYSTEM.system, tables=Path(folder) / "tables")
    return timed(stage("repro.table", *drawn.options(), table), queries * hits)


def timed(described: Stage, items: int) -> Work:
    """Return the work of running a stage, timed and with the memory of its process."""

    def work() -> tuple[int, Figures]:
        started = time.perf_counter()
        described.run()
        seconds = time.perf_counter() - started
        peak = megabytes(resource.getrusage(resource.RUSAGE_CHILDREN))
        return items, {SECONDS: seconds, PEAK: peak, "evaluation s": round(seconds, 1)}

    return work


def _draw(folder: Path, drawn: DrawnRun) -> None:
    """Write documents of words drawn from a small vocabulary, and queries of words of the document they are
    for.
    """
    rng = random.Random(0)
    vocabulary = [f"term{i:02}" for i in range(VOCABULARY)]
    texts = [rng.sample(vocabulary, DOCUMENT_WORDS) for _ in range(2 * drawn.hits)]
    ids = [str(1_000_000 + 41 * i) for i in range(len(texts))]
    relevant = [rng.randrange(len(texts)) for _ in range(drawn.queries)]
    topics = {str(100_000 + 7 * i): document for i, document in enumerate(relevant)}

    def queries() -> Iterator[str]:
        for query, document in track(topics.items(), len(topics), "drawing", "queries"):
            words = rng.sample(texts[document], QUERY_WORDS)
            yield json.dumps({"_id": query, "text": " ".join(words)})

    corpus = (json.dumps({"_id": i, "title": "", "text": " ".join(words)}) for i, words in zip(ids, texts))
    write_text(folder / "corpus.jsonl", _lines(corpus))
    write_text(folder / "queries.jsonl", _lines(queries()))
    (folder / "qrels").mkdir()
    judgments = ["query-id\tcorpus-id\tscore", *(f"{q}\t{ids[d]}\t1" for q, d in topics.items())]
    write_text(folder / "qrels" / "test.tsv", _lines(judgments))
    write_text(folder / "qrels.trec", _lines(f"{q} 0 {ids[d]} 1" for q, d in topics.items()))


def _lines(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
