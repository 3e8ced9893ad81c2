"""The runs of which candidates are taken, and the index of BM25's scores, made if they are missing."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from repro.cli.options import RunsOptions, SearchOptions, SystemOption, WorkOptions
from repro.cli.stages import stage
from repro.distillation.selection import Selection
from repro.engines import ENGINES
from repro.models.systems import find_system, single_names
from repro.pipeline.opening import artifacts_of
from repro.pipeline.sources import held


@contextlib.contextmanager
def bm25_index(selection: Selection, work: WorkOptions) -> Iterator[Path]:
    """Keep the index of the texts from being replaced; it is built first if it is missing."""
    again, bm25 = replace(work, force=False), find_system("bm25")
    stage("repro.index", selection.collection, SystemOption(bm25.name), again).run()
    of = artifacts_of(bm25, selection.corpus, again)
    with held(of.index, "repro.index", bm25, work.wait) as index:
        yield index.path


def run_file(selection: Selection, work: WorkOptions, name: str, hits: int) -> Path:
    """Return a run file that is there, or that of a system, which is made first if it is missing.

    It does not lie beside the reported runs: it has no more documents a query than are needed here.
    """
    if Path(name).is_file():
        return Path(name)
    again = replace(work, force=False)
    for single in single_names(name):
        common = selection.collection, SystemOption(single), again
        if ENGINES[find_system(single).kind].encodes:
            stage("repro.encode", *common).run()
        stage("repro.index", *common).run()
    common = selection.collection, SystemOption(name), again
    runs = RunsOptions(
        work.work / "distilled" / "runs" / f"top-{hits}"
    )  # one that asks for more makes its own
    return Path(stage("repro.search", *common, runs, SearchOptions(hits=hits)).run())
