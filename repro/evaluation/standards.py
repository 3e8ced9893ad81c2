"""What is measured on a collection."""

from repro.cli.options import CollectionOptions, MeasureOptions
from repro.collections.model import Qrels
from repro.evaluation.measures import MEASURES, parse_measures


def measures_of(collection: CollectionOptions, options: MeasureOptions, documents: int, qrels: Qrels) -> list:
    """Return the measures of a collection."""
    return parse_measures(MEASURES)
