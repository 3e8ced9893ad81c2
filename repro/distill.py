"""Make distillation data: hard negatives from retrievers, margins from a teacher.

    python -m repro.distill --collection sample --split train --teacher dense:all-minilm-l6-v2

Writes parquet parts with the published data's columns: query_id, query, positive, negative_1 ... negative_8
(or as many as --negatives says), and label, the margins score(query, positive) - score(query, negative_i).
The teacher is a cross-encoder (a folder or a Hub name), or a bi-encoder as dense:<model>. Candidates are what
--negatives-from ranks best: systems of the table, or run files. Where there are few judged queries or none,
--queries-from draws some from the collection's titles or passages:

    python -m repro.distill --collection path/to/folder --queries-from passages --rows 2400

On several machines, each computes a share of what the teacher must (--shard 1/8 to 8/8), and one of them
makes the data of it all (--merge); with --engine ray, a Ray cluster does so.
"""

import argparse
import sys

from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.parsing import add_options, read_options
from repro.cli.share_options import ClusterOptions, ShareOptions
from repro.cli.training_options import DistillationOptions


def main(argv: list[str] | None = None) -> int:
    """Parse, make the data unless they are there, tell where they lie."""
    parser = argparse.ArgumentParser(prog="python -m repro.distill", description=__doc__.split("\n")[0])
    add_options(parser, CollectionOptions, DistillationOptions, ShareOptions, ClusterOptions, WorkOptions)
    parsed = parser.parse_args(argv)
    collection, work = read_options(CollectionOptions, parsed), read_options(WorkOptions, parsed)
    options, shares = read_options(DistillationOptions, parsed), read_options(ShareOptions, parsed)
    cluster = read_options(ClusterOptions, parsed)
    shares.check()
    cluster.check(shares)
    from repro.distillation.distilling import distill
    from repro.distillation.ray_scoring import distill_on_ray

    if cluster.on_ray:
        print(distill_on_ray(collection, options, work, cluster))
    else:
        print(distill(collection, options, work, shares))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
