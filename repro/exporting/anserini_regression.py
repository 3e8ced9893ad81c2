"""A row of the table as one of Anserini's regressions (src/main/resources/regression/*.yaml).

Its runner (src/main/python/run_regression.py) indexes ``corpus_path``, compares the index's statistics,
searches ``topics`` with each of ``models`` and compares the measures. One query set a file, as there. Paths
are absolute, since the runner puts folders of its own before others; the index goes below Anserini's own
``indexes``.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.cli.options import SystemOptions
from repro.exporting.topic_sets import Measured, TopicSet
from repro.exporting.trec_eval import anserini_name, arguments
from repro.models.systems import System

DECIMALS = 4
EXACT_TOLERANCE = 0.0001
"""Of sums of integers, and of BM25 on the same terms: the last digit that trec_eval prints. What ties can
change is added."""
DENSE_TOLERANCE = 0.001
"""Of inner products in 32 bits, as in Anserini's own regressions of flat indexes."""


@dataclass(frozen=True)
class Kind:
    """What a kind of system is to Anserini. ``topics`` is the suffix of its queries' file, None for texts."""

    index: str
    collection: str
    generator: str
    options: str
    reader: str
    topics: str | None
    tolerance: float


KINDS = {
    "bm25": Kind(
        "lucene-inverted",
        "JsonCollection",
        "DefaultLuceneDocumentGenerator",
        "",
        "TsvString",
        None,
        EXACT_TOLERANCE,
    ),
    "splade": Kind(
        "lucene-inverted",
        "JsonVectorCollection",
        "DefaultLuceneDocumentGenerator",
        "-impact -pretokenized",
        "TsvString",
        "tsv",
        EXACT_TOLERANCE,
    ),
    "dense": Kind(
        "lucene-flat",
        "JsonDenseVectorCollection",
        "DenseVectorDocumentGenerator",
        "",
        "JsonStringVector",
        "jsonl",
        DENSE_TOLERANCE,
    ),
}
"""By the kind of a system; Anserini has no regression of others."""


def regression(
    system: System,
    corpus_path: Path,
    statistics: dict[str, int],
    of_set: TopicSet,
    measured: Measured | None,
    options: SystemOptions,
) -> dict[str, Any]:
    """Return a row's regression; ``measured`` is None if nothing was measured.

    Then results are empty, and so are the measures, which the runner would look for among them.
    """
    kind, hits, flat = KINDS[system.indexed.kind], options.search.hits, system.kind == "dense"
    parameters = {
        "bm25": f"-bm25 -bm25.k1 {options.bm25.k1:g} -bm25.b {options.bm25.b:g} -hits {hits}",
        "splade": f"-impact -pretokenized -hits {hits}",
        "dense": f"-hits {hits} -threads 4",
    }[system.indexed.kind]
    results = {
        anserini_name(measure, hits): [round(measured.figures[str(measure)], DECIMALS)]
        for measure in of_set.measures
        if measured is not None and arguments(measure)
    }
    tolerance = {
        anserini_name(measure, hits): [round(kind.tolerance + _up(measured.ties[str(measure)]), DECIMALS)]
        for measure in of_set.measures
        if measured is not None and arguments(measure)
    }
    corpus = f"{of_set.corpus.collection.corpus}.{system.indexed.name}"
    return {
        "corpus": corpus,
        "corpus_path": str(corpus_path.resolve()),
        "index_path": f"indexes/{kind.index}.{corpus}/",
        **({"index_type": "flat"} if flat else {}),
        "collection_class": kind.collection,
        "generator_class": kind.generator,
        "index_threads": 4,
        "index_options": kind.options,
        "index_stats": statistics,
        "metrics": _metrics(of_set, hits) if results else [],
        "topic_reader": kind.reader,
        "topics": [_topics(of_set, system, kind)],
        "models": [
            {
                "name": f"{system.name}-flat-cached" if flat else system.name,
                "display": system.name,
                **({"type": "flat"} if flat else {}),
                "params": parameters,
                "results": results,
                "tolerance": tolerance,
            }
        ],
    }


def _up(value: float) -> float:
    """Round up to the digits that are compared."""
    return math.ceil(round(value * 10**DECIMALS, 6)) / 10**DECIMALS


def _metrics(of_set: TopicSet, hits: int) -> list[dict[str, Any]]:
    return [
        {
            "metric": anserini_name(measure, hits),
            "command": "bin/trec_eval",
            "params": found,
            "separator": "\t",
            "parse_index": 2,
            "metric_precision": DECIMALS,
            "can_combine": False,
        }
        for measure in of_set.measures
        if (found := arguments(measure))
    ]


def _topics(of_set: TopicSet, system: System, kind: Kind) -> dict[str, str]:
    file = of_set.encoded_topics(system.name, kind.topics) if kind.topics else of_set.topics_tsv
    folder = of_set.folder.resolve()
    return {
        "name": of_set.name,
        "id": of_set.name,
        "path": str(folder / file),
        "qrel": str(folder / of_set.qrels_txt),
    }
