"""From query texts to hits, encoding and impact search together: this project's, and Pyserini's
``search.lucene --impact --encoder``.
"""

from pathlib import Path

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Work
from repro.cli.options import CollectionOptions


def contestants(
    model: Path, index: Path, collection: CollectionOptions, hits: int, threads: int
) -> list[Contestant]:
    """Return both, on the system's index; each turn encodes and searches all judged queries."""
    settings = {
        "model": str(model),
        "index": str(index),
        "collection": collection.collection,
        "split": collection.split,
        "threads": threads,
        "hits": hits,
    }
    return [
        Contestant("repro", f"{__name__}:repro", settings, ours=True),
        Contestant("pyserini.search.lucene --impact --encoder", f"{__name__}:pyserini", settings),
    ]


def repro(model: str, index: str, collection: str, split: str | None, threads: int, hits: int) -> Work:
    """All queries in batches, then the index, hits as lists of ids and scores."""
    from repro.lucene.searching import BatchSearcher, impact_query
    from repro.splade.encoder import SpladeEncoder

    searcher = BatchSearcher(Path(index), threads)  # the JVM before torch: its libraries come first
    queries = _queries(collection, split)
    encoder = SpladeEncoder(Path(model), threads, device="cpu")

    def work() -> int:
        encoded = encoder.encode([text for _, text in queries], 256)
        vectors = ((qid, impact_query(v)) for (qid, _), v in zip(queries, encoder.impact_vectors(encoded)))
        return sum(1 for _ in searcher.search_all(vectors, hits))

    return work


def pyserini(model: str, index: str, collection: str, split: str | None, threads: int, hits: int) -> Work:
    """What its command line does with ``--batch-size`` at all queries, without writing the file."""
    from repro.lucene.pyserini import prepare_pyserini

    prepare_pyserini()
    import torch
    from pyserini.search.lucene import LuceneImpactSearcher

    torch.set_num_threads(threads)
    queries = _queries(collection, split)
    searcher = LuceneImpactSearcher(index, model)

    def work() -> int:
        found = searcher.batch_search(
            [text for _, text in queries], [query for query, _ in queries], hits, threads
        )
        return sum(bool([(hit.docid, hit.score) for hit in hits]) or 1 for hits in found.values())

    return work


def _queries(collection: str, split: str | None) -> list[tuple[str, str]]:
    from repro.collections.opening import open_collection

    return [(query.id, query.text) for query in open_collection(collection, split).queries()]
