"""Re-ranking: the first documents of another system's run, ordered by a cross-encoder."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import track
from repro.cli.options import SearchOptions, SystemOptions
from repro.collections.model import Query
from repro.collections.texts import TextStore
from repro.engines.protocol import Combining, CombiningRequest, Results

if TYPE_CHECKING:
    from repro.dense.cross_encoder import PairScorer

DEPTH = 100
"""Documents of a query that are read: the first ones of the part's run. The others are left out."""
CHUNK = 32
"""Queries whose pairs are scored at a time: the more there are, the less padding their batches have."""


class RerankingEngine:
    """A cross-encoder over the first documents of a run."""

    kind = "reranking"
    encodes: Literal[False] = False
    combines: Literal[True] = True
    options: tuple[type, ...] = (SearchOptions,)

    def search_inputs(self, options: SystemOptions) -> dict[str, Any]:
        """Return how many documents are read."""
        return {"depth": DEPTH}

    def combine(self, request: CombiningRequest, stack: ExitStack) -> Combining:
        """Load the cross-encoder and the texts of all first documents, then score query by query."""
        from repro.dense.cross_encoder import PairScorer

        if request.weights is None:
            raise ValueError("a cross-encoder is needed")
        scorer = PairScorer(request.weights.path, request.threads)
        (run,) = request.runs
        first = {query.id: run.get(query.id, [])[:DEPTH] for query in request.queries}
        needed = set(itertools.chain.from_iterable(first.values()))
        documents = track(request.documents(), None, "reading the passages to be re-ranked", "documents")
        texts = stack.enter_context(
            TextStore(request.scratch, (document for document in documents if document.id in needed))
        )
        return Combining(_reranked(request.queries, first, texts, scorer), scorer.parameters)


def _reranked(
    queries: Sequence[Query],
    first: Mapping[str, list[str]],
    texts: Mapping[str, str],
    scorer: "PairScorer",
) -> Results:
    for chunk in _chunks(queries):
        # Equal passages have one score, whichever batch they would be in.
        pairs = [(query.text, texts[docid]) for query in chunk for docid in first[query.id]]
        distinct = list(dict.fromkeys(pairs))
        scores = dict(zip(distinct, scorer(distinct).tolist())) if distinct else {}
        for query in chunk:
            found = {docid: scores[query.text, texts[docid]] for docid in first[query.id]}
            if not np.isfinite(list(found.values())).all():
                raise InputError(
                    f"query {query.id}: the cross-encoder's scores are not all finite; take another model"
                )
            yield query.id, found


def _chunks(queries: Sequence[Query]) -> Iterator[Sequence[Query]]:
    for start in range(0, len(queries), CHUNK):
        yield queries[start : start + CHUNK]
