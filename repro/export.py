"""Export a SPLADE model to ONNX, in the form of Anserini's SPLADE encoders, and check that it computes the same.

    python -m repro.export --system splade-tiny

Writes <work>/onnx/<system>/model.onnx and vocab.txt. Inputs: input_ids, token_type_ids, attention_mask (int64, texts x tokens).
Outputs: output_idx and output_weights, the terms that are active in any of the texts' first row and their weights, which
Anserini's SpladePlusPlus encoders read; and weights (texts x vocabulary), for everything else.
"""

import argparse
import sys
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve

FORMAT = 1
TEXTS = 32
"""Of the sample, on which the two are compared."""


def main(argv: list[str] | None = None) -> int:
    """Parse, export unless it is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.export", description=__doc__.split("\n")[0])
    parser.add_argument("--system", required=True, help="a SPLADE system of the table, or splade:<model>")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where it goes (default: ./work)")
    parser.add_argument("--force", action="store_true", help="export anew even if it is whole and current")
    args = parser.parse_args(argv)
    system = find_system(args.system)
    if system.kind != "splade":
        raise InputError(f"--system {args.system}: only SPLADE models are exported")
    weights = resolve(system)
    inputs = {"stage": "export", "format": FORMAT, "weights": weights.sha256}
    onnx = Artifact(args.work / "onnx" / system.name, inputs)
    if args.force or not onnx.is_current():
        from repro.splade.onnx import export, largest_difference

        folder = onnx.begin()
        export(weights.path, folder)
        texts = [document.text for document, _ in zip(open_collection("sample").documents(), range(TEXTS))]
        difference = largest_difference(weights.path, folder, texts)
        if difference > 1e-4:
            raise InputError(
                f"{folder}: the exported model's weights differ by {difference:.1e}; it was not kept"
            )
        onnx.finish(folder, largest_difference=difference, texts=TEXTS)
        note(f"{onnx.path}: equal on {TEXTS} texts to {difference:.1e}")
    print(onnx.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
