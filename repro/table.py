"""Measure systems on a collection and print the table; what is missing or outdated is made first.

    python -m repro.table
    python -m repro.table --collection msmarco-passage/dev --systems bm25,splade-tiny,splade-mini,splade-small
    python -m repro.table --collection msmarco-passage --topics dev,dev/small,dl19,dl20
    python -m repro.table --collection msmarco-passage/dev --plan
    python -m repro.table --check

Each stage runs as a process of its own. Results go to <tables>/<collection>.md, .csv and .json, and into the
blocks for that collection of README.md or a page in docs/, if the current folder has them, the options are
the defaults and no system that they show would go. --check compares these with the runs and the judgments;
--plan says what each row will take here, and fetches and makes nothing.
"""

import argparse
import sys

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    DenseOptions,
    EncodingOptions,
    MeasureOptions,
    RunsOptions,
    SearchOptions,
    TableOptions,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, read_options
from repro.cli.plan_options import PlanOptions
from repro.cli.shown_options import CorrectionOption, ShownOptions
from repro.cli.topics_options import TopicsOptions
from repro.forecast.making import forecast
from repro.forecast.rendering import rendered
from repro.pipeline.checking import check
from repro.pipeline.planning import TableRequest
from repro.pipeline.tabulating import tabulate
from repro.webreport.writing import write_pages


def main(argv: list[str] | None = None) -> int:
    """Parse; make the table and print it, check the one that is there, or say what it will take."""
    parser = argparse.ArgumentParser(prog="python -m repro.table", description=__doc__.split("\n")[0])
    add_options(
        parser,
        CollectionOptions,
        TopicsOptions,
        TableOptions,
        PlanOptions,
        MeasureOptions,
        ShownOptions,
        CorrectionOption,
        SearchOptions,
        Bm25Options,
        DenseOptions,
        EncodingOptions,
        RunsOptions,
        WorkOptions,
    )
    parsed = parser.parse_args(argv)
    request = TableRequest(
        collection=read_options(CollectionOptions, parsed),
        systems=read_system_options(parsed),
        work=read_options(WorkOptions, parsed),
        runs=read_options(RunsOptions, parsed),
        measures=read_options(MeasureOptions, parsed),
        table=read_options(TableOptions, parsed),
        topics=read_options(TopicsOptions, parsed),
        shown=read_options(ShownOptions, parsed),
        correction=read_options(CorrectionOption, parsed),
        planned=read_options(PlanOptions, parsed),
    )
    if request.planned.hours and not request.planned.plan:
        raise InputError("--hours is of --plan, which says what fits in them; give both")
    if request.planned.plan:
        print(rendered(forecast(request), request.planned.hours))
        return 0
    if request.table.check:
        return check(request)
    made, code = tabulate(request)
    write_pages(made)
    return code


if __name__ == "__main__":
    sys.exit(guarded(main))
