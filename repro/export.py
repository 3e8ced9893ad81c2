"""Export a SPLADE model to ONNX, in the form of Anserini's encoders, and check that it computes the same.

    python -m repro.export --system splade-tiny

Writes <work>/onnx/<system>/model.onnx and vocab.txt. Inputs: input_ids, token_type_ids, attention_mask
(int64, texts x tokens). Outputs: output_idx and output_weights, the terms that are active in the first text
and their weights, which Anserini's SpladePlusPlus encoders read; and weights (texts x vocabulary), for
everything else.
"""

import argparse
import sys

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.cli.options import SystemOption, WorkOptions
from repro.cli.parsing import add_options, read_options
from repro.models.systems import find_system, located
from repro.models.weights import resolve
from repro.pipeline.exporting import export


def main(argv: list[str] | None = None) -> int:
    """Parse, export unless it is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.export", description=__doc__.split("\n")[0])
    add_options(parser, SystemOption, WorkOptions)
    parsed = parser.parse_args(argv)
    name, work = read_options(SystemOption, parsed).system, read_options(WorkOptions, parsed)
    system = find_system(name)
    if system.kind != "splade":
        raise InputError(f"--system {name}: only SPLADE models are exported")
    weights = resolve(system)
    print(export(located(system, weights, work.work), weights, work).path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
