"""Search Lucene indexes: BM25 over texts and impacts over encoded queries, several queries at a time.

Queries are built as Anserini builds them, so scores equal Pyserini's. Documents of equal score are ordered by docid
descending already inside Lucene, so that the cut at k, too, follows trec_eval's order of ties.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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

    def search(self, query: object, k: int) -> Results:
        """Return the best ``k`` documents for a Lucene query."""
        top = self.searcher.search(query, min(k, max(1, self.documents)), self.sort, True)
        hits = self.scored_docs.fromTopDocs(top, self.searcher)
        return dict(zip(hits.docids, hits.scores))


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

        def search(text: str) -> Results:
            return searcher.search(generator.buildQuery("contents", analyzer, text), k)

        yield from _in_threads(search, queries, threads)


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
    with LuceneSearcher(index, autoclass("io.anserini.search.similarity.ImpactSimilarity")()) as searcher:

        def search(vector: Mapping[str, int]) -> Results:
            if not vector:
                return {}
            query = builder()
            for token, impact in vector.items():
                query.add(boost_query(term_query(term("contents", token)), float(impact)), should)
            return searcher.search(query.build(), k)

        yield from _in_threads(search, queries, threads)


def _in_threads(
    search: Callable, queries: Iterable[tuple[str, object]], threads: int
) -> Iterator[tuple[str, Results]]:
    """Apply ``search`` in ``threads`` threads, at most a few queries ahead of whoever takes the results."""
    import jnius

    queries = list(queries)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(queries), 16 * threads):
            part = queries[start : start + 16 * threads]
            yield from zip([qid for qid, _ in part], pool.map(search, [query for _, query in part]))
        for _ in range(threads):
            pool.submit(jnius.detach)
