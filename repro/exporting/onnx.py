"""A SPLADE model as an ONNX graph, kept only if it computes the same as the model."""

from itertools import islice

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.options import WorkOptions
from repro.collections.opening import open_collection
from repro.models.systems import System
from repro.models.weights import Weights

FORMAT = 2
TEXTS = 32
"""Of the sample, on which the two are compared."""
TOLERANCE = 1e-4
"""The largest difference between two weights of one term."""


def export_onnx(system: System, weights: Weights, work: WorkOptions) -> Artifact:
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
            texts = [document.text for document in islice(open_collection("sample").documents(), TEXTS)]
            difference = largest_difference(weights.path, folder, texts)
            if difference > TOLERANCE:
                raise InputError(
                    f"{onnx.path}: the exported model's weights differ by {difference:.1e}; it was not kept"
                )
            onnx.finish(folder, weights=weights.record(), largest_difference=difference, texts=TEXTS)
            note(f"{onnx.path}: equal on {TEXTS} texts to {difference:.1e}")
    return onnx
