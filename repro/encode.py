"""Encode a collection's documents and queries with a SPLADE or dense model.

    python -m repro.encode --collection sample --system splade-tiny

On several machines, each with a number of its own in the place of 1, and then on one of them:

    python -m repro.encode --collection sample --system splade-tiny --shard-size 50 --shard 1/8
    python -m repro.encode --collection sample --system splade-tiny --merge

or --engine ray, with which a Ray cluster does all of this.

SPLADE: Anserini JSON impact vectors in gzip shards. Dense: float32 embeddings. Both under <work>/encoded/,
each folder with a manifest. A run that was interrupted goes on after its last whole shard.
"""

import argparse
import sys

from repro.base.errors import InputError
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
from repro.cli.share_options import ClusterOptions, ShareOptions
from repro.pipeline.encoding import encode
from repro.pipeline.opening import open_artifacts
from repro.pipeline.ray_encoding import encode_on_ray
from repro.pipeline.shared_encoding import encode_share, merge_encoded


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
        ShareOptions,
        ClusterOptions,
        EncodingOptions,
        WorkOptions,
    )
    parsed = parser.parse_args(argv)
    work = read_options(WorkOptions, parsed)
    shares, cluster = read_options(ShareOptions, parsed), read_options(ClusterOptions, parsed)
    shares.check()
    if shares.given and parsed.only == "queries":
        raise InputError("--shard and --merge are of documents: leave --only queries out")
    cluster.check(shares)
    collection = read_options(CollectionOptions, parsed)
    of = open_artifacts(parsed.system, collection, work, read_system_options(parsed))
    shard_size = read_options(ShardOptions, parsed).shard_size
    if shares.shard:
        artifacts = [encode_share(of, work, shard_size, shares.shard)]
    elif shares.merge is not None:
        artifacts = [merge_encoded(of, work, shares.merge)]
    elif cluster.on_ray and parsed.only != "queries":
        artifacts = encode_on_ray(of, collection, work, shard_size, cluster, parsed.only)
    else:
        artifacts = encode(of, work, shard_size, parsed.only)
    for artifact in artifacts:
        print(artifact.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
