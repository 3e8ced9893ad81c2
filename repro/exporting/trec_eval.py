"""Measures as trec_eval computes them: its arguments, and the names that Pyserini and Anserini give them."""

from repro.evaluation.measures import Measure

CUT = {"R": "recall", "P": "P", "nDCG": "ndcg_cut", "AP": "map_cut", "Success": "success"}
"""trec_eval's measures at a cut, by ir_measures' names."""


def arguments(measure: Measure) -> str | None:
    """Return trec_eval's arguments for a measure, over all judged queries; None if it has no such measure.

    ``-l`` is the grade from which a document counts as relevant, which nDCG does without.
    """
    name, cut = measure.NAME, measure.params.get("cutoff")
    level = measure.params.get("rel", 1)
    options = ["-c", *(["-l", str(level)] if level > 1 else [])]
    if set(measure.params) - {"cutoff", "rel"}:
        return None
    if name == "RR":
        options += [*(["-M", str(cut)] if cut else []), "-m", "recip_rank"]
    elif name == "AP" and cut is None:
        options += ["-m", "map"]
    elif name in CUT and cut is not None:
        options += ["-m", f"{CUT[name]}.{cut}"]
    else:
        return None
    return " ".join(options)


def pyserini_name(measure: Measure) -> str:
    """Return a measure's name in Pyserini's two-click reproductions, which leave out the grade."""
    cut = measure.params.get("cutoff")
    shown = {"RR": "MRR", "AP": "MAP"}.get(str(measure.NAME), str(measure.NAME))
    if cut is None:
        return shown
    return f"{shown}@{cut // 1000}K" if cut % 1000 == 0 else f"{shown}@{cut}"


def anserini_name(measure: Measure, hits: int) -> str:
    """Return a measure's name in Anserini's regressions; average precision has the depth of the run."""
    cut = measure.params.get("cutoff") or (hits if measure.NAME == "AP" else None)
    return f"{measure.NAME}@{cut}" if cut else str(measure.NAME)
