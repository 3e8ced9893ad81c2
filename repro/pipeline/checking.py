"""The table of a collection against what it was measured from: nothing is made, and nothing is written.

Two steps, so that a fault is told where it is. The rows of ``<tables>/<collection>.json`` are computed anew
from the runs, the judgments and the manifests, all of which must be those that the table was made from, and
current for the collection and the weights that are there now. Then whatever shows these rows (the other files
of the table, the blocks of README.md and docs/) is rendered anew from them (``report.shown``).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.options import MeasureOptions, SystemOptions
from repro.cli.shown_options import CorrectionOption, ShownOptions
from repro.collections.model import Collection, Qrels, judgments_checksum
from repro.collections.opening import joint_label, open_collection
from repro.collections.scan import CorpusSummary, known_summary
from repro.pipeline.checked_rows import changed_comparisons, row_problems
from repro.pipeline.opening import Corpus
from repro.pipeline.planning import TableRequest
from repro.report import results
from repro.report.joint import JointTable, names_of
from repro.report.published import compare, failures
from repro.report.shown import changed_joint, changed_renderings
from repro.report.tables import read_record, read_table


def check(request: TableRequest) -> int:
    """Print in what a collection's table differs from what it was measured from; 1 if in anything.

    A system whose figures FAIL against all that was published of it counts, too. Systems, measures and
    options are the table's. Of several query sets, each one's table is checked, and the joint one against
    these. InputError if there is no table, or the request has any of these.
    """
    asked = (request.table.systems, request.systems, request.measures, request.shown, request.correction)
    if asked != (None, SystemOptions(), MeasureOptions(), ShownOptions(), CorrectionOption()):
        raise InputError(
            "--check takes systems, measures and options from the table that it checks; leave them out"
        )
    work = request.work.work
    options = [of_set.collection for of_set in request.of_sets().values()]
    sets = [open_collection(of.collection, of.split, work, claim=False) for of in options]
    if len(sets) > 1:
        return _check_sets(request, sets)
    _, problems = _check(request, sets[0])
    _tell(problems)
    return int(bool(problems))


def _check_sets(request: TableRequest, sets: list[Collection]) -> int:
    """Check the tables of several query sets and their joint one, by the names and in the order that this has
    for them.
    """
    name = joint_label(request.collection.collection, sets, request.work.work)
    path, by_name = request.table.tables / f"{name}.json", {of.name: of for of in sets}
    stored = read_record(path)
    names = names_of(stored, path)
    if names.keys() != by_name.keys():
        raise InputError(
            f"{path}: it is of {', '.join(names)}, and --topics names {', '.join(by_name)}; give those"
        )
    tables: dict[str, results.Table] = {}
    found: dict[str, list[str]] = {}  # problems, each with the query sets that have it
    try:
        for own, topics in names.items():
            tables[topics], problems = _check(request, by_name[own])
            for problem in problems:
                found.setdefault(problem, []).append(topics)
    finally:  # an error loses none that was found before
        _tell(f"{', '.join(having)}: {problem}" for problem, having in found.items())
    problems = [*changed_joint(JointTable(name, tables), stored, path)]
    _tell(problems)
    _note(path, f"{len(tables)} query sets", problems)
    return int(bool(found or problems))


def _tell(problems: Iterable[str]) -> None:
    for problem in problems:
        print(problem)


def _note(path: Path, checked: str, problems: list[str]) -> None:
    counted = f"{len(problems):,} problem{'s' if len(problems) > 1 else ''}"
    outcome = counted if problems else "every figure is as measured"
    note(f"{path}: {checked}; {outcome}")


def _check(request: TableRequest, collection: Collection) -> tuple[results.Table, list[str]]:
    """Return the table of a query set, and in what it differs from what it was measured from."""
    work, path = request.work.work, request.table.tables / f"{collection.name}.json"
    table, stored = read_table(path)
    summary, qrels = known_summary(collection, work), collection.qrels()
    problems = [*_changed_collection(table, summary, qrels)]
    values: dict[str, np.ndarray] = {}
    for row in table.rows:
        found = row_problems(request, table, Corpus(collection, summary or table.corpus), row, values)
        problems += [f"{row.system}: {problem}" for problem in found]
    problems += changed_comparisons(table, values)
    problems += [*changed_renderings(table, stored, path), *_not_reproduced(table)]
    measured = sum(row.status == "measured" for row in table.rows)
    _note(path, f"{measured} of {len(table.rows)} systems, {table.queries:,} queries", problems)
    return table, problems


def _changed_collection(table: results.Table, summary: CorpusSummary | None, qrels: Qrels) -> Iterator[str]:
    if summary is None:
        yield (
            "the corpus was changed or moved since it was read; the same command without --check reads it "
            "anew and makes what is outdated"
        )
    elif summary != table.corpus:
        yield "the corpus is not the one that the table was made from (other documents, or other texts)"
    if len(qrels) != table.queries:
        yield f"{len(qrels):,} queries have judgments, and {table.queries:,} when the table was made"
    if judgments_checksum(qrels) != table.judgments:
        yield "the judgments are not those that the table was made from"


def _not_reproduced(table: results.Table) -> Iterator[str]:
    for cell in failures(compare(table)):
        measured, published = f"{cell.measured:.{cell.digits + 1}f}", f"{cell.published:.{cell.digits}f}"
        yield (
            f"{cell.system}: FAIL: {cell.quantity} is {measured}, {published} by {cell.source}; the "
            f"difference may be {cell.okish:g} at most"
        )
