"""Evaluate TREC run files against a collection's judgments, as ``trec_eval -c`` does.

    python -m repro.evaluate runs/run.sample.bm25.trec --collection sample

Judgments come from --collection, or from --qrels (TREC's four columns). A judged query that the run does not
answer counts as 0. Documents are ordered by score, ties as trec_eval orders them; ``--by-rank`` takes the
rank column instead, as MS MARCO's own script does, which differs for runs whose scores were rounded into
ties. ``--compare`` tests each further run against the first. Runs are read a query at a time, so their size
does not matter.
"""

import argparse
import sys
from pathlib import Path

from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions, EvaluationOptions, MeasureOptions
from repro.cli.parsing import add_options, read_options
from repro.collections.opening import open_collection
from repro.evaluation.measures import Figures, evaluate
from repro.evaluation.significance import compare
from repro.evaluation.standards import measures_of
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_queries


def main(argv: list[str] | None = None) -> int:
    """Parse, evaluate each run, print one line a figure."""
    parser = argparse.ArgumentParser(prog="python -m repro.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="+", help="TREC run files")
    add_options(parser, CollectionOptions, MeasureOptions, EvaluationOptions)
    parsed = parser.parse_args(argv)
    where, options = read_options(CollectionOptions, parsed), read_options(EvaluationOptions, parsed)
    if options.compare and len(parsed.run) < 2:
        raise InputError("--compare: expected two run files or more; the first is the baseline")
    if options.qrels:
        qrels, official = read_trec_qrels(options.qrels), []
    else:
        collection = open_collection(where.collection, where.split)
        qrels, official = collection.qrels(), collection.official_measures()
    measures = measures_of(official, read_options(MeasureOptions, parsed))
    baseline = None
    for path in parsed.run:
        results = track(read_queries(path, options.by_rank), None, f"evaluating {path.name}", "queries")
        figures = evaluate(qrels, results, measures)
        _check(path, figures)
        _print(path.name, figures, options.per_query)
        if options.compare and baseline:
            _print_differences(path.name, figures, baseline)
        baseline = baseline or figures
    return 0


def _check(path: Path, figures: Figures) -> None:
    """Say how many queries the run answers; InputError if none, since then it is of another collection."""
    if not figures.answered:
        raise InputError(
            f"{path}: none of its {figures.unjudged:,} queries has a judgment; was it made for another "
            "collection?"
        )
    answered = f"{figures.answered:,} of {len(figures.per_query):,} judged queries answered"
    note(f"{path}: {answered}; {figures.unjudged:,} unjudged")


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
