"""Export for other tools: a model, an index, vectors, or the conditions of a table.

    python -m repro.export onnx --system splade-tiny
    python -m repro.export ciff --system splade-tiny --bits 8
    python -m repro.export vectors --system splade-tiny --format seismic
    python -m repro.export conditions

onnx: a SPLADE model in the form of Anserini's encoders, checked against the model. Writes
<work>/onnx/<system>/model.onnx and vocab.txt. Inputs: input_ids, token_type_ids, attention_mask (int64,
texts x tokens). Outputs: output_idx and output_weights, the terms that are active in the first text and their
weights, which Anserini's SpladePlusPlus encoders read; and weights (texts x vocabulary), for everything else.

ciff: an impact index in the Common Index File Format. vectors: encoded documents or queries, for other
engines. conditions: Pyserini's two-click YAML and Anserini's regressions for every row of a table. They go to
<work>/exports; what is exported must have been made before, by python -m repro.table or its stages.
"""

import argparse
import sys
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.export_options import CiffOptions, ConditionsOptions, VectorsOptions
from repro.cli.guard import guarded
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    MeasureOptions,
    QueryOptions,
    RunsOptions,
    SearchOptions,
    SystemOption,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, read_options
from repro.cli.topics_options import TopicsOptions, query_sets
from repro.models.systems import find_system, located
from repro.models.weights import resolve
from repro.pipeline.opening import open_artifacts

OPTIONS: dict[str, tuple[type, ...]] = {
    "onnx": (SystemOption, WorkOptions),
    "ciff": (CollectionOptions, SystemOption, CiffOptions, EncodingOptions, WorkOptions),
    "vectors": (
        *(CollectionOptions, SystemOption, VectorsOptions),
        *(QueryOptions, EncodingOptions, WorkOptions),
    ),
    "conditions": (
        *(CollectionOptions, TopicsOptions, ConditionsOptions, MeasureOptions, SearchOptions),
        *(Bm25Options, DenseOptions, EncodingOptions, RunsOptions, WorkOptions),
    ),
}
"""The groups of options that each kind of export takes."""

HELP = {
    "onnx": "a SPLADE model as an ONNX graph",
    "ciff": "an impact index in the Common Index File Format",
    "vectors": "encoded documents or queries for other engines",
    "conditions": "every row of a table for Pyserini's and Anserini's runners",
}


def main(argv: list[str] | None = None) -> int:
    """Parse, export unless it is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.export", description=__doc__.split("\n")[0])
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for kind, groups in OPTIONS.items():
        add_options(kinds.add_parser(kind, help=HELP[kind], description=HELP[kind]), *groups)
    parsed = parser.parse_args(argv)
    work = read_options(WorkOptions, parsed)
    print(
        {"onnx": _onnx, "ciff": _ciff, "vectors": _vectors, "conditions": _conditions}[parsed.kind](
            parsed, work
        )
    )
    return 0


def _onnx(parsed: argparse.Namespace, work: WorkOptions) -> Path:
    from repro.exporting.onnx import export_onnx

    name = read_options(SystemOption, parsed).system
    system = find_system(name)
    if system.kind != "splade":
        raise InputError(f"--system {name}: only SPLADE models are exported")
    weights = resolve(system)
    return export_onnx(located(system, weights, work.work), weights, work).path


def _ciff(parsed: argparse.Namespace, work: WorkOptions) -> Path:
    from repro.exporting.ciff import export_ciff

    collection, options = read_options(CollectionOptions, parsed), read_system_options(parsed)
    of = open_artifacts(parsed.system, collection, work, options)
    return export_ciff(of, read_options(CiffOptions, parsed), work).path


def _vectors(parsed: argparse.Namespace, work: WorkOptions) -> Path:
    from repro.exporting.vectors import export_vectors

    collection, options = read_options(CollectionOptions, parsed), read_system_options(parsed)
    of = open_artifacts(parsed.system, collection, work, options)
    return export_vectors(of, read_options(VectorsOptions, parsed), work).path


def _conditions(parsed: argparse.Namespace, work: WorkOptions) -> Path:
    from repro.exporting.conditions import ConditionsRequest, export_conditions

    collection = read_options(CollectionOptions, parsed)
    request = ConditionsRequest(
        collections=list(query_sets(collection, read_options(TopicsOptions, parsed)).values()),
        rows=read_options(ConditionsOptions, parsed),
        systems=read_system_options(parsed),
        measures=read_options(MeasureOptions, parsed),
        work=work,
        runs=read_options(RunsOptions, parsed),
    )
    return export_conditions(request)


if __name__ == "__main__":
    sys.exit(guarded(main))
