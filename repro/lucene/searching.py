"""Search Lucene indexes: BM25 over texts and impacts over encoded queries, several queries at a time.

Queries are built as Anserini builds them, so scores equal Pyserini's. Documents of equal score are ordered by docid
descending already inside Lucene, so that the cut at k, too, follows trec_eval's order of ties.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from repro.errors import InputError
from repro.lucene.java import java_error, start_jvm

Results = dict[str, float]
"""Document id -> score, best first."""


class LuceneSearcher:
    """An open index. Use as a context manager; raises InputError if the folder is no Lucene index."""

    def __init__(self, index: Path, similarity: object) -> None:
        from jnius import JavaException, autoclass, cast

        paths = autoclass("java.nio.file.Paths")
        try:
            self.reader = autoclass("org.apache.lucene.index.DirectoryReader").open(
                autoclass("org.apache.lucene.store.FSDirectory").open(paths.get(str(index.resolve())))
            )
        except JavaException as error:
            raise InputError(
                f"{index} is no Lucene index ({java_error(error)}); build one with python -m repro.index"
            ) from error
        reader = cast(
            "org.apache.lucene.index.IndexReader", self.reader
        )  # pyjnius would choose another constructor
        self.searcher = autoclass("org.apache.lucene.search.IndexSearcher")(reader)
        self.searcher.setSimilarity(similarity)
        sort_field = autoclass("org.apache.lucene.search.SortField")
        types = autoclass("org.apache.lucene.search.SortField$Type")
        by_docid_descending = sort_field("id", types.STRING_VAL, True)
        self.sort = autoclass("org.apache.lucene.search.Sort")(sort_field.FIELD_SCORE, by_docid_descending)
        self.scored_docs = autoclass("io.anserini.search.ScoredDocs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.reader.close()

    @property
    def documents(self) -> int:
        """Number of documents in the index."""
        return self.reader.numDocs()

    def search_all(
        self, queries: Iterable[tuple[str, object]], k: int, threads: int
    ) -> Iterator[tuple[str, Results]]:
        """Yield (query id, best k documents) for each (query id, Lucene query), in order; None matches nothing.

        Queries are built by the calling thread, and the workers use one searcher only: pyjnius keeps a method's object
        on the method that all instances share, so that threads that work on different objects call each other's.
        """
        import jnius

        search, from_top_docs = self.searcher.search, self.scored_docs.fromTopDocs
        size = min(k, max(1, self.documents))

        def best(query: object) -> Results:
            if query is None:
                return {}
            hits = from_top_docs(search(query, size, self.sort, True), self.searcher)
            return dict(zip(hits.docids, hits.scores))

        queries = iter(queries)
        with ThreadPoolExecutor(threads) as pool:
            while part := list(itertools.islice(queries, 16 * threads)):
                yield from zip([qid for qid, _ in part], list(pool.map(best, [query for _, query in part])))
            for _ in range(threads):
                pool.submit(jnius.detach)


def search_bm25(
    index: Path, queries: Iterable[tuple[str, str]], k: int, threads: int, k1: float, b: float
) -> Iterator[tuple[str, Results]]:
    """Yield (query id, results) for each (query id, text), in order, with Lucene's BM25 and Anserini's analyzer."""
    start_jvm()
    from jnius import autoclass

    generator = autoclass("io.anserini.search.query.BagOfWordsQueryGenerator")()
    analyzer = autoclass("io.anserini.index.IndexCollection").DEFAULT_ANALYZER
    similarity = autoclass("org.apache.lucene.search.similarities.BM25Similarity")(k1, b)
    with LuceneSearcher(index, similarity) as searcher:
        built = ((qid, generator.buildQuery("contents", analyzer, text)) for qid, text in queries)
        yield from searcher.search_all(built, k, threads)


def search_impacts(
    index: Path, queries: Iterable[tuple[str, Mapping[str, int]]], k: int, threads: int
) -> Iterator[tuple[str, Results]]:
    """Yield (query id, results) for each (query id, {term: impact}), in order; a score is the exact dot product."""
    start_jvm()
    from jnius import autoclass

    builder = autoclass("org.apache.lucene.search.BooleanQuery$Builder")
    should = autoclass("org.apache.lucene.search.BooleanClause$Occur").SHOULD
    autoclass("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(
        2**16
    )  # a long query may have many terms
    term_query, boost_query = (
        autoclass(f"org.apache.lucene.search.{name}") for name in ("TermQuery", "BoostQuery")
    )
    term = autoclass("org.apache.lucene.index.Term")

    def build(vector: Mapping[str, int]) -> object:
        if not vector:
            return None
        query = builder()
        for token, impact in vector.items():
            query.add(boost_query(term_query(term("contents", token)), float(impact)), should)
        return query.build()

    with LuceneSearcher(index, autoclass("io.anserini.search.similarity.ImpactSimilarity")()) as searcher:
        yield from searcher.search_all(((qid, build(vector)) for qid, vector in queries), k, threads)
