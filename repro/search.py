"""Search a system's index with a collection's queries and write a TREC run file.

    python -m repro.search --collection sample --system splade-tiny

Queries of SPLADE and dense systems are encoded by python -m repro.encode, in a process of its own, if that
was not done. So are the runs made that a fusion (bm25+splade-tiny) or a re-ranking ("bm25>>cross-encoder:X")
combines.
"""

import argparse
import sys

from repro.cli.guard import guarded
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    IndexesOption,
    QueryOptions,
    RunsOptions,
    ScorerOption,
    SearchOptions,
    SystemOption,
    TagOption,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, read_options
from repro.cli.stages import stage
from repro.engines import of_encoding
from repro.models.systems import part_names
from repro.pipeline.merging import with_indexes
from repro.pipeline.opening import open_artifacts
from repro.pipeline.searching import search


def main(argv: list[str] | None = None) -> int:
    """Parse, search unless the run is current, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.search", description=__doc__.split("\n")[0])
    add_options(
        parser,
        CollectionOptions,
        SystemOption,
        SearchOptions,
        ScorerOption,
        IndexesOption,
        QueryOptions,
        TagOption,
        Bm25Options,
        DenseOptions,
        EncodingOptions,
        RunsOptions,
        WorkOptions,
    )
    parsed = parser.parse_args(argv)
    collection, work = read_options(CollectionOptions, parsed), read_options(WorkOptions, parsed)
    options, runs = read_system_options(parsed), read_options(RunsOptions, parsed)
    of = open_artifacts(parsed.system, collection, work, options, runs)
    if indexes := read_options(IndexesOption, parsed).index:
        of = with_indexes(of, indexes)
    # what may load torch has a process of its own, since FAISS, which may be loaded here, never shares one
    again = WorkOptions(work.work, force=False, wait=work.wait, threads=work.threads)
    for name, part in zip(part_names(parsed.system), of.parts):
        if not part.run.is_current():
            groups = options.search, options.queries, options.bm25, options.dense, options.encoding
            stage("repro.search", collection, "--system", name, *groups, runs, again).run()
    if of.engine.encodes and not of.queries.is_current():
        only = ["--only", "queries", "--system", parsed.system]
        encoding = of_encoding(of.system, options.encoding)
        stage("repro.encode", *only, collection, options.queries, encoding, again).run()
    print(search(of, work, read_options(ScorerOption, parsed)).path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
