"""The commands by which a table and each of its rows are made: here, and by Pyserini."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from string import Template
from typing import TYPE_CHECKING

from repro.artifacts.graph import SystemArtifacts
from repro.cli.export_options import ConditionsOptions
from repro.cli.options import MeasureOptions, SystemOptions, TableOptions
from repro.cli.stages import Stage, stage
from repro.evaluation.measures import Measure
from repro.exporting.conditions import conditions_path
from repro.exporting.pyserini_conditions import search_command, topic_key
from repro.exporting.rows import Row
from repro.exporting.topic_sets import TopicSet
from repro.pipeline.opening import Corpus
from repro.pipeline.planning import TableRequest, stages

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

BATCH = 64
"""Queries that Pyserini searches at a time, which decides nothing."""


@dataclass(frozen=True)
class Command:
    """A command line that runs as it stands, in the folder that the table was made in, and what it does."""

    does: str
    line: str


def table_commands(request: TableRequest, specs: list[str]) -> list[Command]:
    """Return the commands for all rows; ``specs`` are what ``--systems`` calls those that were measured."""
    to_check = TableOptions(tables=request.table.tables, check=True)
    checking = stage("repro.table", request.collection, to_check, *_places(request))
    making = stage("repro.table", *_groups(_unforced(request)))
    commands = [
        Command("Make the table; what is there and current is not made again", str(making)),
        Command("Compute every figure anew from runs and judgments, and say what differs", str(checking)),
    ]
    if specs:
        exporting = stage(
            "repro.export", "conditions", request.collection, ConditionsOptions(systems=",".join(specs)),
            request.measures, *_groups(request.systems), *_places(request),
        )  # fmt: skip
        does = "Write queries, judgments and conditions for Pyserini and Anserini"
        commands.append(Command(does, str(exporting)))
    return commands


def row_commands(
    request: TableRequest, spec: str, of: SystemArtifacts, corpus: Corpus, measures: list[Measure]
) -> list[Command]:
    """Return the commands that make a row's run stage by stage and evaluate it, and Pyserini's, if it has one
    that makes the same run; its queries are what ``repro.export conditions`` has written.
    """
    needed = stages(_unforced(request), spec, of, every=True)
    made = [Command(_does(each), str(each)) for each in needed]
    evaluating = Command("Evaluate the run", _evaluate(request, str(of.run.path), measures))
    return [*made, evaluating, *_pyserini(request, of, corpus, measures)]


def _does(needed: Stage) -> str:
    if needed.module != "repro.encode":
        return {"repro.index": "Index the documents", "repro.search": "Search"}[needed.module]
    given = needed.arguments
    return f"Encode {given[given.index('--only') + 1] if '--only' in given else 'documents and queries'}"


def _pyserini(
    request: TableRequest, of: SystemArtifacts, corpus: Corpus, measures: list[Measure]
) -> Iterator[Command]:
    row = Row(of.system, corpus.collection.corpus, of.work, of.options, [of], [None])
    if (line := search_command(row)) is None:
        return
    name = corpus.collection.name
    topics = TopicSet(
        *(request.collection.collection, corpus, of.topics, corpus.collection.qrels(), measures),
        conditions_path(request.work.work, name),
    )
    output = str(request.runs.runs / f"pyserini.{name}.{of.system.name}.trec")
    threads, batch = str(request.work.threads), str(BATCH)
    filled = Template(line).safe_substitute(
        topics=shlex.quote(topic_key(row.system, topics)),
        output=shlex.quote(output),
        **{f"{kind}_threads": threads for kind in ("sparse", "dense")},
        **{f"{kind}_batch_size": batch for kind in ("sparse", "dense")},
    )
    ours = filled.replace("python -m pyserini.", "python -m repro.pyserini ", 1)
    yield Command("Search with Pyserini, once its conditions are written (above)", ours)
    yield Command(
        "Evaluate Pyserini's run, whose equal scores may be ordered otherwise",
        _evaluate(request, output, measures),
    )


def _evaluate(request: TableRequest, run: str, measures: list[Measure]) -> str:
    """Return the command for the table's measures, which depend on the corpus's size if none were named."""
    named = MeasureOptions([str(measure) for measure in measures])
    return str(stage("repro.evaluate", run, request.collection, named))


def _unforced(request: TableRequest) -> TableRequest:
    return replace(request, work=replace(request.work, force=False))


def _places(request: TableRequest) -> "tuple[DataclassInstance, ...]":
    return request.runs, _unforced(request).work


def _groups(request: "DataclassInstance") -> "Iterator[DataclassInstance]":
    """Yield the groups of options of a request, those of its systems one by one."""
    for entry in fields(request):
        group = getattr(request, entry.name)
        if isinstance(group, SystemOptions):
            yield from _groups(group)
        else:
            yield group
