"""Cut a collection down to given documents and queries, as a folder in BEIR's layout.

    python -m repro.subset --collection msmarco-passage/dev/small --documents ids.txt
    python -m repro.subset --recipe msmarco-mini

The second makes the collection that this project's figures on MS MARCO passages stand on, and compares what
comes out with the checksums that are expected.
"""

import argparse
import sys

from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions
from repro.cli.parsing import add_options, read_options
from repro.cli.part_options import SubsetOptions
from repro.pipeline.subsetting import make_subset


def main(argv: list[str] | None = None) -> int:
    """Parse, cut, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.subset", description=__doc__.split("\n")[0])
    add_options(parser, CollectionOptions, SubsetOptions)
    parsed = parser.parse_args(argv)
    print(make_subset(read_options(CollectionOptions, parsed), read_options(SubsetOptions, parsed)))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
