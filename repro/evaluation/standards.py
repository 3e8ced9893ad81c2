"""What is measured on a collection: the measures of its table, and the grade from which a document counts as
relevant.

MS MARCO's dev sets count every judged passage as relevant. The passage tasks of TREC's Deep Learning tracks
count grades of 2 and 3 in binary measures (``trec_eval -l 2``), and all grades in nDCG (Craswell et al. 2020,
arXiv:2003.07820). ir_datasets' documentation states the official measures of an id, from which the grade is
taken.
"""

from collections.abc import Sequence

from repro.base.errors import InputError
from repro.cli.options import MeasureOptions
from repro.evaluation.measures import Measure, parse_measures

BINARY_JUDGMENTS = ["RR@10", "nDCG@10", "R@10", "R@1000"]
GRADED_JUDGMENTS = ["nDCG@10", "RR@10", "AP", "R@1000"]
"""Of collections whose official measures count a document as relevant from a grade above 1."""
SMALLER_CUTS = (100, 10)


def measures_of(
    official: Sequence[str], options: MeasureOptions, documents: int | None = None
) -> list[Measure]:
    """Return what is measured on a collection of so many ``documents`` (None: unknown), unless ``options``
    say otherwise. ``official`` are the measures of its makers, by ir_measures' names.

    Binary measures (RR, R, AP, P ...) count grades from the relevance level up. A recall whose cut is not
    smaller than the collection, where every system has 1, gives way to one at a smaller cut. InputError if
    the options name an unknown measure, or two relevance levels.
    """
    if options.measures:
        named = _at_level(parse_measures(options.measures), options.relevance_level)
        return list(dict.fromkeys(named))  # AP and AP(rel=1) are one measure
    level = options.relevance_level or relevance_level(official)
    measures = at_level(BINARY_JUDGMENTS if level == 1 else GRADED_JUDGMENTS, level)
    if documents is not None:
        measures = [_within(measure, documents) for measure in measures]
    return list(dict.fromkeys(measures))


def relevance_level(official: Sequence[str]) -> int:
    """Return the grade from which official measures (ir_measures' names) count a document as relevant; 1 if
    none says.
    """
    return max((measure.params.get("rel", 1) for measure in parse_measures(official)), default=1)


def at_level(names: Sequence[str], level: int) -> list[Measure]:
    """Return measures by their names, the binary ones among them counting grades from ``level`` up."""
    return _at_level(parse_measures(names), level if level > 1 else None)


def _at_level(measures: Sequence[Measure], level: int | None) -> list[Measure]:
    """Return the measures with ``level`` as the least relevant grade, where they are binary; nDCG has
    none.
    """
    for measure in measures:
        named = measure.params.get("rel")
        if level is not None and named not in (None, level):
            raise InputError(
                f"--measures {measure} and --relevance-level {level} contradict each other; give one"
            )
    return [m(rel=level) if level is not None and "rel" in m.SUPPORTED_PARAMS else m for m in measures]


def _within(measure: Measure, documents: int) -> Measure:
    cut = measure.params.get("cutoff")
    if measure.NAME != "R" or cut is None or cut < documents:
        return measure
    return measure @ next((smaller for smaller in SMALLER_CUTS if smaller < documents), SMALLER_CUTS[-1])
