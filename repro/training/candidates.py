"""What a model does on held-out queries, measured as a table would: impacts, dot products, all judgments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from repro.collections.model import Collection, Document, Qrels, Query
from repro.evaluation.measures import Figures, evaluate, parse_measures
from repro.models.systems import MAX_LENGTH, QUERY_MAX_LENGTH
from repro.splade.encoder import SpladeEncoder
from repro.splade.term_encoder import impacts

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

MEASURE = "nDCG@10"
"""What decides."""
MEASURES = parse_measures([MEASURE, "RR@10"])
DEPTH = 100
QUERIES = 64
"""Queries whose scores for all documents are held at a time."""


@dataclass(frozen=True)
class Candidate:
    """Weights at ``share`` of the way from base to trained, and what was measured of them.

    ``query_terms`` are each held-out query's, ``document_terms`` a document's on average.
    ``p`` is the corrected p-value of its nDCG@10 being no better than the base's, ``least`` where the 95 %
    interval of what it gains begins; None: the base itself. At share 0, others are the base with factors for
    its terms (``term_factors.py``).
    """

    share: float
    figures: Figures
    query_terms: np.ndarray
    document_terms: float
    p: float | None = None
    least: float | None = None

    @property
    def factors(self) -> bool:
        """Whether it is the base but for factors."""
        return self.share == 0 and self.p is not None

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        if self.factors:
            return "the base with factors for its terms"
        return f"{self.share:.0%} of the way from the base"

    def record(self) -> dict[str, float | None]:
        """Return the figures for the log, the card and the manifest."""
        means = {name: round(value, 4) for name, value in self.figures.mean.items()}
        p, least = (None if value is None else round(value, 4) for value in (self.p, self.least))
        a_query = float(self.query_terms.mean())
        terms = {"terms/query": round(a_query, 2), "terms/doc": round(self.document_terms, 2)}
        factors = {"factors": 1} if self.factors else {}
        return {"share": self.share, **factors, **means, **terms, "p": p, "gain at least": least}


@dataclass(frozen=True)
class HeldOut:
    """A collection in memory, read once for all that are measured on it."""

    documents: list[Document]
    queries: list[Query]
    qrels: Qrels

    @classmethod
    def read(cls, collection: Collection) -> "HeldOut":
        """Read all of it."""
        return cls(list(collection.documents()), collection.queries(), collection.qrels())


def measure(model: "SparseEncoder", share: float, held_out: HeldOut, threads: int) -> Candidate:
    """Search the held-out collection with a model as it is, and evaluate that."""
    encoder = SpladeEncoder(model, threads, device="cpu")
    passages = encoder.encode((document.text for document in held_out.documents), MAX_LENGTH)
    topics = encoded_queries(encoder, held_out.queries)
    terms = np.diff(topics.indptr), passages.nnz / passages.shape[0]  # as the table counts them
    ids = np.array([document.id for document in held_out.documents])
    ranked = _search(_quantised(topics), _quantised(passages), [query.id for query in held_out.queries], ids)
    return Candidate(share, evaluate(held_out.qrels, ranked, MEASURES), *terms)


def encoded_queries(encoder: SpladeEncoder, queries: Sequence[Query]) -> csr_matrix:
    """Return queries' weights, queries x vocabulary, as a search has them."""
    return encoder.encode((query.text for query in queries), QUERY_MAX_LENGTH["splade"])


def _search(
    queries: csr_matrix, documents: csr_matrix, names: list[str], ids: np.ndarray
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each query with its best documents by inverse rank, ties by id, as Anserini orders them."""
    by_id = np.argsort(ids, kind="stable")
    columns, ids = documents[by_id].T.tocsc(), ids[by_id]
    for start in range(0, len(names), QUERIES):
        scores = (queries[start : start + QUERIES] @ columns).toarray()
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        for name, row, order in zip(names[start:], scores, best):
            yield name, {str(ids[i]): -float(rank) for rank, i in enumerate(order) if row[i] > 0}


def _quantised(weights: csr_matrix) -> csr_matrix:
    quantised = csr_matrix((impacts(weights.data), weights.indices, weights.indptr), weights.shape, copy=True)
    quantised.eliminate_zeros()
    return quantised
