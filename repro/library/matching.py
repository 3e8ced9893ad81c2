"""Why a passage matches a query: the terms that they share, with weights and impacts."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from repro.cli.options import EncodingOptions
from repro.models.systems import QUERY_MAX_LENGTH

if TYPE_CHECKING:
    from repro.splade.term_encoder import TermEncoder


class TermMatch(NamedTuple):
    """A term that a query and a passage share: its weights and their product; its impacts, which an index
    has of them, and theirs. An impact may be 0: an index lacks the term then.
    """

    term: str
    query: float
    passage: float
    product: float
    query_impact: int
    passage_impact: int
    impact_product: int


def matching_terms(
    encoder: "TermEncoder",
    query: str,
    passage: str,
    *,
    queries: "TermEncoder | None" = None,
    query_length: int = QUERY_MAX_LENGTH["splade"],
    passage_length: int | None = None,
    scale: float = EncodingOptions.scale,
) -> list[TermMatch]:
    """Return the terms that ``query`` and ``passage`` share, greatest product first.

    The sum of the products is the dot product of the two vectors; that of the impacts' products is the score
    of the passage in an index. ``query_length`` and ``passage_length`` tokens are kept (default: 256, as
    ``python -m repro.search`` keeps, and the encoder's own); impacts are round(weight x ``scale``). The
    query is encoded by ``queries``, if that is another encoder, of the same vocabulary.
    """
    from repro.splade.term_encoder import impacts

    one = (queries or encoder).encode([query], query_length)
    other = encoder.encode([passage], passage_length)
    shared, *places = np.intersect1d(one.indices, other.indices, assume_unique=True, return_indices=True)
    weights = [row.data[place] for row, place in zip((one, other), places)]
    columns = [column.tolist() for column in (*weights, *(impacts(of, scale) for of in weights))]
    terms = [
        TermMatch(encoder.vocabulary[term], q, p, q * p, q_impact, p_impact, q_impact * p_impact)
        for term, q, p, q_impact, p_impact in zip(shared.tolist(), *columns)
    ]
    return sorted(terms, key=lambda match: (-match.product, match.term))
