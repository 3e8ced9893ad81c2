"""Impact vectors drawn from the distribution of real ones, to try sizes that are not at hand."""

import random
from collections.abc import Iterator, Sequence

from repro.formats.impact_vectors import SHARD_DOCUMENTS, ImpactVector

KEPT = 0.75
"""A drawn passage has each term of one real passage with this probability, each of another's with the
rest.
"""


def draw_vectors(
    real: Sequence[Sequence[tuple[str, int]]], documents: int, contents: str = ""
) -> Iterator[ImpactVector]:
    """Yield so many vectors, each mixed of two real ones, given as (term, impact) pairs.

    Terms are as frequent, and vectors as long, as theirs; the same vectors each time. ``contents`` is the
    text of each.
    """
    for number in range(documents):
        if number % SHARD_DOCUMENTS == 0:
            rng = random.Random(number // SHARD_DOCUMENTS)
        one, other = rng.choice(real), rng.choice(real)
        mixed = dict(posting for posting in other if rng.random() >= KEPT)
        mixed.update(posting for posting in one if rng.random() < KEPT)
        yield ImpactVector(str(number), contents, mixed)
