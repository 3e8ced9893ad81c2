"""What a query's length costs, and what it is worth: only its strongest terms, from a few to all."""

from pathlib import Path

import numpy as np

from repro.benchmarks.contest import Contestant
from repro.benchmarks.searching import encoded
from repro.benchmarks.worker import Figures, Work
from repro.collections.opening import open_collection
from repro.formats.impact_vectors import strongest

TERMS = (4, 8, 12, 16, 24, None)


def contestants(
    index: Path, queries: list[Path], collection: str, splits: list[str | None], hits: int, threads: int
) -> list[Contestant]:
    """Return a contestant for each number of terms; each turn searches with all queries of all splits."""
    settings = {
        "index": str(index),
        "queries": [str(path) for path in queries],
        "collection": collection,
        "splits": splits,
        "hits": hits,
        "threads": threads,
    }
    return [
        Contestant(
            f"{terms} strongest terms" if terms else "all terms",
            f"{__name__}:search",
            {**settings, "terms": terms},
            rival=False,
        )
        for terms in TERMS
    ]


def search(
    index: str,
    queries: list[str],
    collection: str,
    splits: list[str | None],
    hits: int,
    threads: int,
    terms: int | None,
) -> Work:
    """Search with the strongest ``terms``; the figures are means over the queries of all splits."""
    from repro.evaluation.measures import evaluate
    from repro.evaluation.standards import at_level, relevance_level
    from repro.lucene.searching import BatchSearcher, impact_query

    searcher = BatchSearcher(Path(index), threads)
    vectors = {query: strongest(vector, terms) for query, vector in encoded(queries).items()}
    built = [impact_query(vector) for vector in vectors.values()]
    opened = [open_collection(collection, split) for split in splits]
    qrels = {query: judged for one in opened for query, judged in one.qrels().items()}
    level = max(relevance_level(one.official_measures()) for one in opened)
    measures = at_level(["RR@10", "nDCG@10", "R@1000"], level)
    once = list(searcher.search(built, hits))
    results = ((query, ranking.results()) for query, ranking in zip(vectors, once))
    found = evaluate(qrels, results, measures).mean
    quality = {name: round(value, 4) for name, value in found.items()}
    mean = round(float(np.mean([len(vector) for vector in vectors.values()])), 1)

    def work() -> tuple[int, Figures]:
        rankings = list(searcher.search(built, hits))
        taken = np.median([ranking.milliseconds for ranking in rankings])
        return len(rankings), {"terms/query": mean, "median ms": round(float(taken), 2), **quality}

    return work
