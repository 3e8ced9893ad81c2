"""Evaluate TREC run files against a collection's judgments, as ``trec_eval -c`` does.

    python -m repro.evaluate runs/run.sample.bm25.trec --collection sample

Judgments come from --collection, or from --qrels (TREC's four columns). A judged query that the run does not
answer counts as 0. Documents are ordered by score, ties as trec_eval orders them; ``--by-rank`` takes the
rank column instead, as MS MARCO's own script does, which differs for runs whose scores were rounded into
ties. ``--compare`` tests each further run against the first, or, with ``--correction tukey``, each run
against each other. Runs are read a query at a time, so their size does not matter.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions, EvaluationOptions, MeasureOptions
from repro.cli.parsing import add_options, read_options
from repro.cli.shown_options import HOLM, CorrectionOption
from repro.collections.opening import open_collection
from repro.evaluation.comparison import TESTS, Comparison, compare_systems
from repro.evaluation.measures import Figures, evaluate
from repro.evaluation.standards import measures_of
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_queries
from repro.report.columns import effect, p_value


def main(argv: list[str] | None = None) -> int:
    """Parse, evaluate each run, print one line a figure."""
    parser = argparse.ArgumentParser(prog="python -m repro.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="+", help="TREC run files")
    add_options(parser, CollectionOptions, MeasureOptions, EvaluationOptions, CorrectionOption)
    parsed = parser.parse_args(argv)
    where, options = read_options(CollectionOptions, parsed), read_options(EvaluationOptions, parsed)
    correction = read_options(CorrectionOption, parsed).correction
    if options.compare and len(set(parsed.run)) < 2:
        raise InputError("--compare: expected two run files or more; the first is the baseline")
    if correction != HOLM and not options.compare:
        raise InputError(f"--correction {correction} is for the p-values of --compare; give that, too")
    if options.qrels:
        qrels, official = read_trec_qrels(options.qrels), []
    else:
        collection = open_collection(where.collection, where.split)
        qrels, official = collection.qrels(), collection.official_measures()
    measures = measures_of(official, read_options(MeasureOptions, parsed))
    values: dict[str, np.ndarray] = {}
    shown = _names(parsed.run)
    for path, name in shown.items():
        results = track(read_queries(path, options.by_rank), None, f"evaluating {name}", "queries")
        figures = evaluate(qrels, results, measures)
        _check(path, figures)
        _print(name, figures, options.per_query)
        values[name] = figures.values()
    if options.compare:
        names = list(map(str, measures))
        for comparison in compare_systems(values, names, shown[parsed.run[0]], correction):
            if options.per_query:
                _print_queries(comparison, list(qrels), values, names.index(comparison.measure))
            _print_comparison(comparison, correction)
    return 0


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return how each file is called: by its name, or by its path if files of several folders have that."""
    times = Counter(path.name for path in set(paths))
    return {path: path.name if times[path.name] == 1 else str(path) for path in paths}


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


def _print_comparison(of: Comparison, correction: str) -> None:
    """Print a difference with its interval, corrected p-values, Cohen's d, and the queries counted."""
    difference = f"{of.mean:+.4f} ({of.low:+.4f} to {of.high:+.4f})"
    p_values = zip(TESTS[correction], (of.t_test_corrected, of.p_corrected))
    told = [f"p, {name}: {p_value(p)}" for name, p in p_values]
    counted = f"{of.better:,} better, {of.equal:,} equal, {of.worse:,} worse"
    size = f"d: {effect(of.effect)}"
    print("\t".join([_pair(of), "difference", of.measure, difference, *told, size, counted]))


def _print_queries(
    of: Comparison, queries: Sequence[str], values: Mapping[str, np.ndarray], place: int
) -> None:
    """Print a line for each query on which one of the runs is better by the measure at ``place``."""
    differences = values[of.system][:, place] - values[of.other][:, place]
    for query, difference in zip(queries, differences.tolist()):
        if difference:
            print(f"{_pair(of)}\t{query}\t{of.measure}\t{difference:+.4f}")


def _pair(of: Comparison) -> str:
    return f"{of.system} - {of.other}"


if __name__ == "__main__":
    sys.exit(guarded(main))
