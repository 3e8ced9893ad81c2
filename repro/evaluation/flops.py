"""What a search has to multiply, by the terms of queries and documents alone."""

from collections import Counter
from collections.abc import Iterable


def expected_flops(queries: Iterable[Iterable[str]], documents: Iterable[Iterable[str]]) -> float:
    """Return the expected number of products of weights for a query and a document, given by their terms.

    The sum over all terms of the shares of queries and of documents in which the term is active: FLOPS of
    Paria et al. (2020, arXiv:2004.05665), which SPLADE's regulariser bounds. 0 if there are no queries or no
    documents.
    """
    in_queries, queries_seen = _frequencies(queries)
    in_documents, documents_seen = _frequencies(documents)
    products = sum(count * in_documents[term] for term, count in in_queries.items())
    return products / (queries_seen * documents_seen) if products else 0.0


def _frequencies(texts: Iterable[Iterable[str]]) -> tuple[Counter[str], int]:
    """Return in how many texts each term is active, and the number of texts."""
    frequencies: Counter[str] = Counter()
    seen = 0
    for terms in texts:
        frequencies.update(list(terms))  # of a dictionary, Counter would add up the weights
        seen += 1
    return frequencies, seen
