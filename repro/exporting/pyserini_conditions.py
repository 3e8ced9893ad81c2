"""A row of the table as a condition of Pyserini's two-click reproductions (``pyserini.2cr``).

``$topics`` and ``$output`` stand for a topic set's key and a run, and ``${sparse_threads}`` and others for
what the runner sets.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.cli.options import SystemOptions
from repro.engines import ENGINES
from repro.exporting.topic_sets import Measured, TopicSet
from repro.exporting.trec_eval import arguments, pyserini_name
from repro.models.systems import System

DECIMALS = 4
"""Of an expected score, as trec_eval prints it."""


def condition(
    system: System, command: str, sets: Sequence[TopicSet], measured: Sequence[Measured | None]
) -> dict[str, Any]:
    """Return a condition; ``measured`` is what was measured on each set, None where nothing was."""
    return {
        "name": system.name,
        "display": system.name,
        "display-html": system.name,
        "display-row": "",
        "command": command,
        "topics": [
            {"topic_key": of_set.keys[0], "eval_key": of_set.keys[1], "scores": _scores(of_set, found)}
            for of_set, found in zip(sets, measured)
        ],
    }


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


def search_command(
    system: System, corpus: str, work: Path, options: SystemOptions, parts: Sequence[SystemArtifacts] = ()
) -> str | None:
    """Return the command by which Pyserini makes a row's run; None if it has none that makes the same.

    ``parts`` are the systems whose runs a fusion combines.
    """
    engine = ENGINES[system.kind]
    if system.kind == "fusion":
        runs = shlex.join(str(part.run.path) for part in parts)
        return (
            f"python -m pyserini.fusion --method rrf --runs {runs} --output $output --k {options.search.hits}"
        )
    if engine.combines:
        return None
    index = shlex.quote(str(work / "indexes" / engine.index_name(corpus, system.name, options)))
    model = shlex.quote(str(work / "models" / system.name))
    common = f"--index {index} --topics $topics --output $output --hits {options.search.hits}"
    sparse = "python -m pyserini.search.lucene --threads ${sparse_threads} --batch-size ${sparse_batch_size}"
    if system.kind == "bm25":
        return f"{sparse} {common} --bm25 --k1 {options.bm25.k1:g} --b {options.bm25.b:g}"
    if system.kind == "splade":
        return f"{sparse} {common} --encoder {model} --impact"
    if system.kind == "dense" and system.pooling:
        dense = "python -m pyserini.search.faiss --threads ${dense_threads} --batch-size ${dense_batch_size}"
        encoder = f"--encoder-class auto --encoder {model} --pooling {system.pooling}"
        encoder += " --l2-norm" if system.normalise else ""
        encoder += (
            f" --query-prefix {shlex.quote(system.query_prefix.strip())}" if system.query_prefix else ""
        )
        return f"{dense} {encoder} {common}"
    return None
