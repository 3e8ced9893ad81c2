"""Export a SPLADE model to ONNX, in the form of Anserini's SPLADE encoders, and check that it computes the same.

    python -m repro.export --system splade-tiny

Writes <work>/onnx/<system>/model.onnx and vocab.txt. Inputs: input_ids, token_type_ids, attention_mask (int64, texts x tokens).
Outputs: output_idx and output_weights, the terms that are active in any of the texts' first row and their weights, which
Anserini's SpladePlusPlus encoders read; and weights (texts x vocabulary), for everything else.
"""

import argparse
import sys

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import SystemOption, WorkOptions
from repro.cli.parsing import add_options, read_options
from repro.collections.opening import open_collection
from repro.models.systems import System, find_system
from repro.models.weights import Weights
from repro.pipeline.opening import find_weights

FORMAT = 2
TEXTS = 32
"""Of the sample, on which the two are compared."""
TOLERANCE = 1e-4


def main(argv: list[str] | None = None) -> int:
    """Parse, export unless it is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.export", description=__doc__.split("\n")[0])
    add_options(parser, SystemOption, WorkOptions)
    parsed = parser.parse_args(argv)
    system = find_system(parsed.system)
    if system.kind != "splade":
        raise InputError(f"--system {parsed.system}: only SPLADE models are exported")
    print(export(*find_weights(system), read_options(WorkOptions, parsed)).path)
    return 0


def export(system: System, weights: Weights, work: WorkOptions) -> Artifact:
    """Export a model unless that was done; InputError if what comes out computes something else."""
    inputs = {"stage": "export", "format": FORMAT, "weights": weights.sha256}
    onnx = Artifact(work.work / "onnx" / system.name, inputs)
    if not work.force and onnx.is_current():
        return onnx
    from repro.splade.onnx import export as write_graph
    from repro.splade.onnx import largest_difference

    with onnx.making(work.wait):
        if work.force or not onnx.is_current():
            folder = onnx.begin()
            write_graph(weights.path, folder)
            texts = [text for (_, text), _ in zip(open_collection("sample").documents(), range(TEXTS))]
            difference = largest_difference(weights.path, folder, texts)
            if difference > TOLERANCE:
                raise InputError(
                    f"{folder}: the exported model's weights differ by {difference:.1e}; it was not kept"
                )
            onnx.finish(folder, largest_difference=difference, texts=TEXTS)
            note(f"{onnx.path}: equal on {TEXTS} texts to {difference:.1e}")
    return onnx


if __name__ == "__main__":
    sys.exit(guarded(main))
