"""A row of the table as a condition of Pyserini's two-click reproductions (``pyserini.2cr``).

``$topics`` and ``$output`` stand for a topic set's key and a run, and ``${sparse_threads}`` and others for
what the runner sets.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from repro.cli.options import SystemOptions
from repro.engines import ENGINES
from repro.exporting.rows import Row
from repro.exporting.topic_sets import Measured, TopicSet
from repro.exporting.trec_eval import arguments, pyserini_name
from repro.models.systems import DOCUMENT_ONLY, System

DECIMALS = 4
"""Of an expected score, as trec_eval prints it."""


def condition(row: Row, command: str, sets: Sequence[TopicSet]) -> dict[str, Any]:
    """Return a row's condition, without scores on sets where nothing was measured."""
    name = row.system.name
    return {
        "name": name,
        "display": name,
        "display-html": name,
        "display-row": "",
        "command": command,
        "topics": [
            {
                "topic_key": topic_key(row.system, of_set),
                "eval_key": of_set.keys[1],
                "scores": _scores(of_set, found),
            }
            for of_set, found in zip(sets, row.measured)
        ],
    }


def topic_key(system: System, of_set: TopicSet) -> str:
    """Return what stands for $topics: the queries, or with static weights, which no encoder of Pyserini has,
    what they are encoded to.
    """
    if system.kind == DOCUMENT_ONLY:
        return str(of_set.folder / of_set.encoded_topics(system.name, "json"))
    return of_set.keys[0]


def definitions(sets: Sequence[TopicSet]) -> dict[str, dict[str, str]]:
    """Return trec_eval's arguments of each measure by eval_key, the runner's
    ``trec_eval_metric_definitions``.
    """
    return {
        of_set.keys[1]: {
            pyserini_name(measure): found for measure in of_set.measures if (found := arguments(measure))
        }
        for of_set in sets
    }


def _scores(of_set: TopicSet, measured: Measured | None) -> list[dict[str, float]]:
    if measured is None:
        return []
    return [
        {
            pyserini_name(measure): round(measured.figures[str(measure)], DECIMALS)
            for measure in of_set.measures
            if arguments(measure)
        }
    ]


def search_command(row: Row) -> str | None:
    """Return the command by which Pyserini makes a row's runs; None if it has none that makes the same."""
    system, options = row.system, row.options
    if system.kind == "fusion":
        return _fusion_command(row)
    if ENGINES[system.kind].combines:
        return None
    index, hits = shlex.quote(str(row.index)), options.search.hits
    common = f"--index {index} --topics $topics --output $output --hits {hits}"
    sparse = "python -m pyserini.search.lucene --threads ${sparse_threads} --batch-size ${sparse_batch_size}"
    if system.kind == "bm25":
        return f"{sparse} {common} --bm25 --k1 {options.bm25.k1:g} --b {options.bm25.b:g}"
    if system.kind == DOCUMENT_ONLY:  # $topics are encoded queries, which must be there
        encoded = all(of is not None and of.queries.is_current() for of in row.artifacts)
        return f"{sparse} {common} --impact" if encoded else None
    model = shlex.quote(str(row.model))
    if system.kind == "splade" and _encodes_as_pyserini(system, options):
        return f"{sparse} {common} --encoder {model} --impact"
    if system.kind == "dense" and system.pooling and _encodes_as_pyserini(system, options):
        dense = "python -m pyserini.search.faiss --threads ${dense_threads} --batch-size ${dense_batch_size}"
        encoder = f"--encoder-class auto --encoder {model} --pooling {system.pooling}"
        encoder += " --l2-norm" if system.normalise else ""
        encoder += (
            f" --query-prefix {shlex.quote(system.query_prefix.strip())}" if system.query_prefix else ""
        )
        return f"{dense} {encoder} {common}"
    return None


def _fusion_command(row: Row) -> str | None:
    """Return the command that fuses the parts' runs: those of one query set, since it names their files."""
    if len(row.artifacts) != 1 or row.artifacts[0] is None:
        return None
    runs, hits = shlex.join(str(part.run.path) for part in row.artifacts[0].parts), row.options.search.hits
    return f"python -m pyserini.fusion --method rrf --runs {runs} --output $output --depth {hits} --k {hits}"


def _encodes_as_pyserini(system: System, options: SystemOptions) -> bool:
    """Tell whether Pyserini, which has no options for them, makes a system's queries the same: all terms of
    each, impacts at the default scale, and weights and vectors that are not rounded.
    """
    engine = ENGINES[system.kind]
    if not engine.encodes:
        return True

    def deciding(chosen: SystemOptions) -> tuple[dict[str, Any], dict[str, Any]]:
        return engine.encoded_inputs(system, chosen), engine.search_inputs(chosen)

    return deciding(options) == deciding(SystemOptions())
