"""Encode a collection's documents and queries with a SPLADE or dense model.

    python -m repro.encode --collection sample --system splade-tiny

SPLADE: Anserini JSON impact vectors in gzip shards. Dense: float32 embeddings. Both under <work>/encoded/,
each folder with a manifest. A run that was interrupted goes on after its last whole shard.
"""

import argparse
import sys

from repro.cli.guard import guarded
from repro.cli.options import (
    CollectionOptions,
    EncodingOptions,
    QueryOptions,
    ShardOptions,
    SystemOption,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, read_options
from repro.pipeline.encoding import encode
from repro.pipeline.opening import open_artifacts


def main(argv: list[str] | None = None) -> int:
    """Parse, encode what is missing, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.encode", description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=["documents", "queries"], help="encode just these (default: both)")
    add_options(
        parser,
        CollectionOptions,
        SystemOption,
        QueryOptions,
        ShardOptions,
        EncodingOptions,
        WorkOptions,
    )
    parsed = parser.parse_args(argv)
    work = read_options(WorkOptions, parsed)
    of = open_artifacts(
        parsed.system, read_options(CollectionOptions, parsed), work, read_system_options(parsed)
    )
    for artifact in encode(of, work, read_options(ShardOptions, parsed).shard_size, parsed.only):
        print(artifact.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
