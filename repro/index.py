"""Build the index that a system searches: Lucene for BM25 and impacts, FAISS for dense vectors.

    python -m repro.index --collection sample --system splade-tiny

On several machines, each with a number of its own in the place of 1, and then on one of them:

    python -m repro.index --collection sample --system splade-tiny --shard 1/8
    python -m repro.index --collection sample --system splade-tiny --merge

Impact and dense indexes are built from what python -m repro.encode wrote; BM25's straight from the
collection. The way a Lucene index is built (--indexer, --store-raw, --no-merge) changes nothing that a search
finds, so an index that is there is kept unless it was built otherwise than one of these options asks.
"""

import argparse
import sys

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.cli.options import (
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    IndexingOptions,
    SystemOption,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, read_options
from repro.cli.share_options import ShareOptions
from repro.pipeline.indexing import index
from repro.pipeline.opening import open_artifacts
from repro.pipeline.shared_indexing import index_share, merge_indexed

LEAST_MEMORY = 256


def main(argv: list[str] | None = None) -> int:
    """Parse, index if the index is missing or outdated, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.index", description=__doc__.split("\n")[0])
    add_options(
        parser,
        CollectionOptions,
        SystemOption,
        IndexingOptions,
        ShareOptions,
        DenseOptions,
        EncodingOptions,
        WorkOptions,
    )
    parsed = parser.parse_args(argv)
    work, building = read_options(WorkOptions, parsed), read_options(IndexingOptions, parsed)
    if building.memory < LEAST_MEMORY:
        raise InputError(
            f"--memory: {building.memory} MB is too little for the JVM; give it {LEAST_MEMORY} or more"
        )
    shares = read_options(ShareOptions, parsed)
    shares.check()
    of = open_artifacts(
        parsed.system, read_options(CollectionOptions, parsed), work, read_system_options(parsed)
    )
    if shares.shard:
        artifact = index_share(of, work, building, shares.shard)
    elif shares.merge is not None:
        artifact = merge_indexed(of, work, building, shares.merge)
    else:
        artifact = index(of, work, building)
    print(artifact.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
