"""What a SPLADE model makes of a text, and why a passage matches a query, as tables of terms."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.base.errors import InputError
from repro.base.progress import track
from repro.cli.explain_options import ExplainOptions
from repro.cli.options import CollectionOptions, EncodingOptions, SystemOptions, WorkOptions, processors
from repro.collections.opening import open_collection
from repro.engines import check_precision
from repro.library.matching import TermMatch, matching_terms
from repro.models.router import read_router
from repro.models.systems import DOCUMENT_ONLY, find_system
from repro.models.weights import resolve
from repro.pipeline.opening import open_artifacts
from repro.pipeline.sources import held

if TYPE_CHECKING:
    from repro.splade.static_queries import StaticQueryEncoder
    from repro.splade.term_encoder import TermEncoder

Cells = list[str]


def explain(
    text: str | None, options: ExplainOptions, collection: CollectionOptions, encoding: EncodingOptions
) -> str:
    """Return a table of a text's terms, strongest first, or of those that a query and a passage share.

    InputError for a system that is no SPLADE model, an id that the collection lacks, and texts that are given
    twice or not at all.
    """
    system = find_system(options.system)
    if system.indexed.kind != "splade":
        raise InputError(f"--system {options.system}: only SPLADE models give texts terms with weights")
    check_precision(system, encoding)
    query, passage = _texts(text, options, collection)
    from repro.splade.encoder import SpladeEncoder
    from repro.splade.term_encoder import impacts

    model = resolve(system).path
    queries = None
    if query is not None and system.kind == DOCUMENT_ONLY:
        queries = _static_queries(model, options, collection, encoding)
    query = None if query is None else system.query_prefix + query
    passage = None if passage is None else system.passage_prefix + passage
    encoder: TermEncoder
    if queries is None or passage is not None:
        encoder = SpladeEncoder(model, processors(), encoding.precision)
    else:
        encoder = queries
    if query is not None and passage is not None:
        lengths = {"query_length": system.query_max_length, "passage_length": system.max_length}
        found = matching_terms(encoder, query, passage, **lengths, scale=encoding.scale, queries=queries)
        return _matches(found, options.top)
    alone, length = (query, system.query_max_length) if passage is None else (passage, system.max_length)
    (terms,) = encoder.decode(encoder.encode([alone or ""], length))
    quantised = impacts(np.array([weight for _, weight in terms]), encoding.scale).tolist()
    return _expansion(terms, quantised, options.top)


def _static_queries(
    model: Path, options: ExplainOptions, collection: CollectionOptions, encoding: EncodingOptions
) -> "StaticQueryEncoder":
    """Return what encodes queries without inference: with weights of the model's own, or those that the
    collection's index gives them. InputError if that is missing or outdated.
    """
    from repro.splade.static_queries import StaticQueryEncoder

    if read_router(model):
        return StaticQueryEncoder(model)
    work = WorkOptions(options.work)
    of = open_artifacts(options.system, collection, work, SystemOptions(encoding=encoding))
    with held(of.index, "repro.index", of.system, work.wait) as index:
        return StaticQueryEncoder(model, index.path)


def _texts(
    text: str | None, options: ExplainOptions, collection: CollectionOptions
) -> tuple[str | None, str | None]:
    """Return the query and the passage; a text by itself is a passage."""
    if text is not None and options.query_id is not None:
        raise InputError("expected a text or --query-id, found both")
    if options.against is not None and options.document_id is not None:
        raise InputError("expected --against or --document-id, found both")
    query, passage = text, options.against
    if options.query_id is not None:
        query = _query_of(options.query_id, collection)
    if options.document_id is not None:
        passage = _passage_of(options.document_id, collection)
    if query is None and options.against is not None:
        raise InputError("--against: expected a text, or --query-id, to compare the passage with")
    if query is None and passage is None:
        raise InputError("expected a text to explain, or --query-id, or --document-id")
    by_itself = text is not None and passage is None
    return (None, text) if by_itself else (query, passage)


def _query_of(identifier: str, where: CollectionOptions) -> str:
    collection = open_collection(where.collection, where.split)
    for query in collection.queries(judged_only=False):
        if query.id == identifier:
            return query.text
    raise InputError(f"--query-id {identifier}: {collection.name} has no such query")


def _passage_of(identifier: str, where: CollectionOptions) -> str:
    collection = open_collection(where.collection, where.split)
    for document in track(collection.documents(), None, f"looking for {identifier}", "documents"):
        if document.id == identifier:
            return document.text
    raise InputError(f"--document-id {identifier}: {collection.corpus} has no such document")


def _expansion(terms: list[tuple[str, float]], impacts: list[int], top: int) -> str:
    """Return the strongest of a text's terms, with their weights and impacts, as aligned lines."""
    rows = [[term, f"{weight:.4f}", f"{impact:,}"] for (term, weight), impact in zip(terms, impacts)]
    lines = _aligned([["term", "weight", "impact"], *rows[:top]])
    return "\n".join([f"{len(terms):,} terms, strongest first", "", *lines, *_rest(len(terms), top)])


def _matches(matches: list[TermMatch], top: int) -> str:
    """Return the terms with the greatest products, and the sums over all of them, as aligned lines."""
    if not matches:
        return "no term in common: the score is 0"
    header = [
        *("term", "query", "passage", "product"),
        *("query impact", "passage impact", "impacts' product"),
    ]
    rows = [
        [
            *(match.term, f"{match.query:.4f}", f"{match.passage:.4f}", f"{match.product:.4f}"),
            *(f"{match.query_impact:,}", f"{match.passage_impact:,}", f"{match.impact_product:,}"),
        ]
        for match in matches[:top]
    ]
    weights, score = sum(match.product for match in matches), sum(match.impact_product for match in matches)
    total = ["sum of all", "", "", f"{weights:.4f}", "", "", f"{score:,}"]
    lines = _aligned([header, *rows, total])
    shared = f"{len(matches):,} terms in common, greatest product first"
    return "\n".join([shared, "", *lines, *_rest(len(matches), top)])


def _rest(count: int, top: int) -> list[str]:
    return ["", f"{count - top:,} more with --top {count}"] if count > top else []


def _aligned(rows: list[Cells]) -> list[str]:
    """Return rows as lines, the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
