"""From query texts to hits, encoding and impact search together: this project's, with the model's queries and
without inference, and Pyserini's ``search.lucene --impact --encoder``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Work
from repro.cli.options import CollectionOptions
from repro.models.systems import QUERY_MAX_LENGTH

if TYPE_CHECKING:
    from repro.lucene.searching import BatchSearcher
    from repro.splade.term_encoder import TermEncoder


def contestants(
    model: Path, index: Path, collection: CollectionOptions, hits: int, threads: int
) -> list[Contestant]:
    """Return all, on the system's index; each turn encodes and searches all judged queries.

    Queries without inference (``splade-doc``) find other documents: they are no rival.
    """
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
        Contestant("repro, queries without inference", f"{__name__}:static", settings, rival=False),
        Contestant("pyserini.search.lucene --impact --encoder", f"{__name__}:pyserini", settings),
    ]


def repro(model: str, index: str, collection: str, split: str | None, threads: int, hits: int) -> Work:
    """All queries in batches, then the index, hits as lists of ids and scores."""
    from repro.lucene.searching import BatchSearcher
    from repro.splade.encoder import SpladeEncoder

    searcher = BatchSearcher(Path(index), threads)  # the JVM before torch: its libraries come first
    encoder = SpladeEncoder(Path(model), threads, device="cpu")
    return _work(encoder, searcher, _queries(collection, split), hits)


def static(model: str, index: str, collection: str, split: str | None, threads: int, hits: int) -> Work:
    """The same with the queries' own tokens, weighed by the index's idf."""
    from repro.lucene.searching import BatchSearcher
    from repro.splade.static_queries import StaticQueryEncoder

    searcher = BatchSearcher(Path(index), threads)
    encoder = StaticQueryEncoder(Path(model), Path(index))
    return _work(encoder, searcher, _queries(collection, split), hits)


def _work(
    encoder: "TermEncoder", searcher: "BatchSearcher", queries: list[tuple[str, str]], hits: int
) -> Work:
    from repro.lucene.searching import impact_query

    def work() -> int:
        encoded = encoder.encode([text for _, text in queries], QUERY_MAX_LENGTH["splade"])
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
