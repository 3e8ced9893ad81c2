"""The option for several query sets over one corpus, and the collection's options of each of them."""

from dataclasses import dataclass

from repro.base.errors import InputError
from repro.cli.options import CollectionOptions
from repro.cli.parsing import option
from repro.collections.opening import query_set


def topic_names(text: str) -> tuple[str, ...]:
    """Parse names of query sets; one that is named twice is taken once."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        raise InputError(f"--topics {text!r}: expected names between commas, as dl19,dl20")
    return names


@dataclass(frozen=True)
class TopicsOptions:
    """Several query sets over the corpus of ``--collection``, in the place of one."""

    topics: tuple[str, ...] = option(
        (),
        "several query sets over one corpus, which is encoded and indexed once: splits of a folder or of the "
        "sample, or ir_datasets ids below --collection, dl19 and dl20 for TREC's Deep Learning tracks",
        type=topic_names,
        metavar="A,B",
    )


def query_sets(collection: CollectionOptions, topics: TopicsOptions) -> dict[str, CollectionOptions]:
    """Return what opens each query set, by the name that ``--topics`` has for it.

    Without ``--topics`` there is one. InputError for ``--split`` beside it, or a query set under two names.
    """
    spec, split = collection.collection, collection.split
    if not topics.topics:
        return {split or spec: collection}
    if split is not None:
        raise InputError(f"--split {split} and --topics contradict each other; give one")
    sets = {name: CollectionOptions(*query_set(spec, name)) for name in topics.topics}
    if len(set(sets.values())) < len(sets):
        raise InputError(f"--topics {','.join(sets)}: two of these names are the same query set; give one")
    return sets
