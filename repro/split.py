"""Split the judged queries of a collection into train and test, no relevant passage in both.

    python -m repro.split --collection path/to/folder --seed 42

Writes a folder in BEIR's layout below --work whose corpus and queries are links to the collection's, with
qrels/train.tsv and qrels/test.tsv. For adapting a model to a collection that has one split only. Encodings
and indexes of the collection serve the split, too.

Queries that share a relevant passage stay together. Where that links nearly all of them, --by queries divides
them all the same, each with all its judgments: a passage may then be relevant in both parts.
"""

import argparse
import sys
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions
from repro.cli.parsing import add_options, read_options
from repro.cli.part_options import SplitOptions
from repro.collections.opening import folder_label, open_collection
from repro.pipeline.splitting import split


def main(argv: list[str] | None = None) -> int:
    """Parse, split, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.split", description=__doc__.split("\n")[0])
    add_options(parser, CollectionOptions, SplitOptions)
    parsed = parser.parse_args(argv)
    where, options = read_options(CollectionOptions, parsed), read_options(SplitOptions, parsed)
    source = Path(where.collection)
    if not source.is_dir():
        raise InputError(f"--collection {where.collection}: only a folder in BEIR's layout can be split")
    collection = open_collection(where.collection, where.split, options.work)
    print(split(source, folder_label(source, options.work), collection.qrels(), options).path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
