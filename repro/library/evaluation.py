"""A run's figures in one call."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.options import MeasureOptions
from repro.collections.model import Qrels
from repro.collections.opening import open_collection
from repro.evaluation.measures import Figures, evaluate
from repro.evaluation.standards import measures_of
from repro.formats.qrels import read_trec_qrels
from repro.formats.runs import read_queries


def evaluate_run(
    run: str | Path | Mapping[str, Mapping[str, float]],
    qrels: str | Path | Mapping[str, Mapping[str, int]],
    measures: Sequence[str] = (),
    split: str | None = None,
) -> Figures:
    """Return a run's figures: ``mean``, {measure: value} over all judged queries, and ``per_query``.

    run: a TREC run file, or {query id: {document id: score}}. qrels: a file in TREC's form, what
    ``--collection`` takes (``sample``, a BEIR folder and its ``split``, an ir_datasets id), or {query id:
    {document id: grade}}. measures: ir_measures' names (default: what the collection's table shows).

    Equal scores are ordered as trec_eval does; a judged query without results counts as 0. InputError for a
    file that is none, a measure that does not exist, or a run none of whose queries is judged.
    """
    judged, official = _judgments(qrels, split)
    results = read_queries(Path(run)) if isinstance(run, str | Path) else run.items()
    figures = evaluate(judged, results, measures_of(official, MeasureOptions(list(measures))))
    if not figures.answered:
        raise InputError("none of the run's queries has a judgment; was it made for another collection?")
    return figures


def _judgments(
    qrels: str | Path | Mapping[str, Mapping[str, int]], split: str | None
) -> tuple[Qrels, list[str]]:
    """Return judgments, and the measures of a collection's makers."""
    if isinstance(qrels, Mapping):
        if not qrels:
            raise InputError("qrels: no judgment in it")
        return {query: dict(judged) for query, judged in qrels.items()}, []
    if Path(qrels).is_file():
        return read_trec_qrels(Path(qrels)), []
    collection = open_collection(str(qrels), split)
    return collection.qrels(), collection.official_measures()
