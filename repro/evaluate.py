"""Evaluate TREC run files against a collection's judgments, as ``trec_eval -c`` does.

    python -m repro.evaluate runs/run.sample.bm25.trec --collection sample

Judgments come from --collection, or from --qrels (TREC's four columns). A judged query that the run does not answer
counts as 0. Documents are ordered by score, ties as trec_eval orders them; ``--by-rank`` takes the rank column
instead, as MS MARCO's own script does, which differs for runs whose scores were rounded into ties. ``--compare`` tests
each further run against the first.
"""

import argparse
import sys
from pathlib import Path

from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions
from repro.cli.parsing import add_options
from repro.collections.model import Qrels
from repro.collections.opening import open_collection
from repro.evaluation.measures import MEASURES, Figures, evaluate, parse_measures
from repro.evaluation.significance import compare
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import Run, read_run


def main(argv: list[str] | None = None) -> int:
    """Parse, evaluate each run, print one line a figure."""
    parser = argparse.ArgumentParser(prog="python -m repro.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="+", help="TREC run files")
    add_options(parser, CollectionOptions)
    parser.add_argument("--qrels", type=Path, help="judgments in TREC's form, instead of a collection's")
    parser.add_argument(
        "--measures", nargs="+", default=MEASURES, help=f"of ir_measures (default: {' '.join(MEASURES)})"
    )
    parser.add_argument(
        "--by-rank", action="store_true", help="order by the rank column, as MS MARCO's script does"
    )
    parser.add_argument("--per-query", action="store_true", help="print each query's figures, too")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="print each further run's difference from the first, with the p-value of a paired randomisation test",
    )
    args = parser.parse_args(argv)
    if args.compare and len(args.run) < 2:
        raise InputError("--compare: expected two run files or more; the first is the baseline")
    measures = parse_measures(args.measures)
    qrels = (
        read_trec_qrels(args.qrels) if args.qrels else open_collection(args.collection, args.split).qrels()
    )
    baseline = None
    for path in args.run:
        figures = _evaluated(path, read_run(path, args.by_rank), qrels, measures)
        _print(path.name, figures, args.per_query)
        if args.compare and baseline:
            _print_differences(path.name, figures, baseline)
        baseline = baseline or figures
    return 0


def _evaluated(path: Path, run: Run, qrels: Qrels, measures: list) -> Figures:
    answered = len(qrels.keys() & run.keys())
    if not answered:
        raise InputError(
            f"{path}: none of its {len(run):,} queries has a judgment; was it made for another collection?"
        )
    note(
        f"{path}: {answered:,} of {len(qrels):,} judged queries answered; {len(run.keys() - qrels.keys()):,} unjudged"
    )
    return evaluate(qrels, run, measures)


def _print(name: str, figures: Figures, per_query: bool) -> None:
    if per_query:
        for query, values in figures.per_query.items():
            for measure, value in values.items():
                print(f"{name}\t{query}\t{measure}\t{value:.4f}")
    for measure, value in figures.mean.items():
        print(f"{name}\tall\t{measure}\t{value:.4f}")


def _print_differences(name: str, figures: Figures, baseline: Figures) -> None:
    for measure in figures.mean:
        found = compare(figures, baseline, measure)
        counted = f"{found.better:,} better, {found.worse:,} worse of {found.queries:,}"
        print(f"{name}\tdifference\t{measure}\t{found.mean:+.4f}\tp = {found.p:.4f}\t{counted}")


if __name__ == "__main__":
    sys.exit(guarded(main))
