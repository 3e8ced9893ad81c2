"""What systems found for some queries: first hits and judged passages, their texts, and matching terms."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.base.progress import track
from repro.collections.model import Collection, Qrels
from repro.formats.impact_vectors import read_selected, strongest
from repro.formats.runs import RankedRun

HITS = 5
"""First documents of each system that are shown."""
RELEVANT = 3
"""Documents with the best grades that are shown besides, wherever systems ranked them."""
TERMS = 12
"""Matching terms that are shown one by one, those with the greatest products."""
CHARACTERS = 1_200
"""Of a passage; of a longer one the beginning is shown."""
WITH_TERMS = 1_000_000
"""Documents of the largest corpus whose matching terms are shown: a folder of encoded texts is unpacked from
its beginning, which takes minutes a system for one of MS MARCO's size."""


def found_documents(
    rows: Mapping[str, SystemArtifacts], queries: Iterable[str], qrels: Qrels, level: int = 1
) -> dict[str, dict[str, Any]]:
    """Return for each query its documents, with their grades, and in each system their ranks and scores.

    A document that a run lacks has no rank; one that nobody judged has no grade. From the grade ``level`` on
    it is relevant.
    """
    queries = list(queries)
    runs = {
        name: RankedRun(of.run.path, of.options.search.hits, of.options.search.ties)
        for name, of in rows.items()
    }
    results = {
        name: {query: run.results(query) for query in queries if query in run.places}
        for name, run in runs.items()
    }
    return {
        query: _documents(
            {name: found.get(query, []) for name, found in results.items()}, qrels[query], level
        )
        for query in queries
    }


def _documents(
    results: Mapping[str, list[tuple[str, float]]], judged: Mapping[str, int], level: int
) -> dict[str, Any]:
    ranks = {name: {docid: rank for rank, (docid, _) in enumerate(of, 1)} for name, of in results.items()}
    scores = {name: dict(of) for name, of in results.items()}
    documents = dict.fromkeys(docid for of in results.values() for docid, _ in of[:HITS])

    def best_rank(docid: str) -> float:
        return min((of.get(docid, math.inf) for of in ranks.values()), default=math.inf)

    relevant = sorted(
        (docid for docid, grade in judged.items() if grade >= level),
        key=lambda docid: (-judged[docid], best_rank(docid), docid),
    )
    documents |= dict.fromkeys(relevant[:RELEVANT])
    return {
        "documents": [*documents],
        "grades": [judged.get(docid) for docid in documents],
        "ranks": {name: [of.get(docid) for docid in documents] for name, of in ranks.items()},
        "scores": {name: [_rounded(of.get(docid)) for docid in documents] for name, of in scores.items()},
    }


def _rounded(score: float | None) -> float | None:
    """Return a score in the digits that a page shows; an integer, as sums of impacts are, as it is."""
    return score if score is None or score.is_integer() else round(score, 4)


def passages(collection: Collection, total: int, documents: Iterable[str]) -> dict[str, str]:
    """Return the beginnings of documents' texts, from one pass over a corpus of ``total`` documents, which
    ends with the last of them.
    """
    sought, texts = set(documents), dict[str, str]()
    if not sought:
        return texts
    for document in track(collection.documents(), total, f"reading {collection.corpus}", "documents"):
        if document.id in sought:
            texts[document.id] = shortened(document.text, CHARACTERS)
            if len(texts) == len(sought):
                break
    return texts


def shortened(text: str, characters: int) -> str:
    """Return the beginning of a text, which ends with an ellipsis if something follows."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def matching_terms(
    rows: Mapping[str, SystemArtifacts], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, list[Any]]]:
    """Return of each SPLADE system and query, for each of its documents, the terms that both have: [term,
    impact in the query, impact in the document], greatest product first, up to TERMS; then, if there are
    more, [their number, the sum of their products].

    Impacts are those of the encoded texts, as they are indexed; no model is run. The sum of all products is
    the document's score in the run. Documents that several systems share are read once.
    """
    sought = {docid for of in found.values() for docid in of["documents"]}
    folders: dict[Path, dict[str, dict[str, int]]] = {}
    shared = {}
    for name, of in rows.items():
        if of.system.indexed.kind != "splade":
            continue
        path = of.documents.path
        if path not in folders:
            vectors = track(read_selected(path, sought), len(sought), f"terms of {name}", "documents")
            folders[path] = {v.id: v.vector for v in vectors}
        terms = of.options.search.max_query_terms
        queries = {v.id: strongest(v.vector, terms) for v in read_selected(of.queries.path, found)}
        shared[name] = {
            query: [_shared(vector, folders[path].get(docid, {})) for docid in found[query]["documents"]]
            for query, vector in queries.items()
        }
    return shared


def _shared(query: Mapping[str, int], document: Mapping[str, int]) -> list[list[Any]]:
    shared = [(term, impact, document[term]) for term, impact in query.items() if term in document]
    shared.sort(key=lambda match: (-match[1] * match[2], match[0]))
    first, rest = shared[:TERMS], shared[TERMS:]
    summed = [[len(rest), sum(q * d for _, q, d in rest)]] if rest else []
    return [*map(list, first), *summed]
