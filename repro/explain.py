"""Show a text's SPLADE terms, strongest first, or why a passage matches a query: the terms that they share.

    python -m repro.explain "The weather is lovely today."
    python -m repro.explain "The weather is lovely today." --against "It's so sunny outside!"

Weights are the model's; impacts are what an index has of them, and the sum of their products is the score in
a run. --query-id and --document-id take the texts from a collection.
"""

import argparse
import sys

from repro.cli.explain_options import ExplainOptions
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions, EncodingOptions
from repro.cli.parsing import add_options, read_options
from repro.pipeline.explaining import explain


def main(argv: list[str] | None = None) -> int:
    """Parse, encode, print the terms."""
    parser = argparse.ArgumentParser(prog="python -m repro.explain", description=__doc__.split("\n")[0])
    parser.add_argument("text", nargs="?", help="what is encoded; a query, if there is a passage beside it")
    add_options(parser, ExplainOptions, CollectionOptions, EncodingOptions)
    parsed = parser.parse_args(argv)
    options = read_options(ExplainOptions, parsed), read_options(CollectionOptions, parsed)
    print(explain(parsed.text, *options, read_options(EncodingOptions, parsed)))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
