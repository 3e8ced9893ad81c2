"""The topics that a run must answer, and those that it may."""

from dataclasses import dataclass

from repro.cli.submission_options import TopicsOptions
from repro.collections.opening import open_collection


@dataclass(frozen=True)
class Topics:
    """A collection's topics by their ids (UTF-8): those that must have a line, and all that may have one."""

    collection: str
    required: frozenset[bytes]
    allowed: frozenset[bytes]


def topics_of(collection: str | None, options: TopicsOptions) -> Topics | None:
    """Return the topics of what ``--collection`` names; None if it names nothing.

    Its judged queries are required, or all of them with ``--all-queries``, which needs no judgments.
    """
    if collection is None:
        return None
    source = open_collection(collection, options.split, claim=False)
    allowed = frozenset(query.id.encode() for query in source.queries(judged_only=False))
    required = allowed
    if not options.all_queries:
        required = frozenset(query.id.encode() for query in source.queries(judged_only=True))
    return Topics(source.name, required, allowed)
