"""Which queries are distilled: a split's judged ones, some drawn from the collection's texts, or both; and
which judged ones are set aside.
"""

from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.training_options import JUDGMENTS, DistillationOptions
from repro.collections.beir import BeirFolder
from repro.collections.opening import DEFAULT_SPLIT, open_collection
from repro.distillation.held_out import set_aside
from repro.distillation.query_folder import SPLIT, Judged, query_folder
from repro.pipeline.opening import Corpus, open_corpus

ROWS = 2400
"""Queries that drawn ones fill up to, unless --rows says otherwise."""


@dataclass(frozen=True)
class Selection:
    """A collection with all queries that are distilled or held out, and the ids of the latter.

    ``name`` is that of the collection that was asked for, or of its corpus if no judgment of it is needed.
    """

    collection: CollectionOptions
    corpus: Corpus
    name: str
    held_out: frozenset[str]


def select(collection: CollectionOptions, options: DistillationOptions, work: WorkOptions) -> Selection:
    """Return what the options select, once queries are drawn if any are asked for.

    InputError if judgments are asked for that are not there, or there are no texts to draw from.
    """
    drawing = drawn_sources(options)
    if options.rows is not None and not drawing:
        raise InputError(
            f"--rows {options.rows}: it counts queries with those that are drawn; ask for some with "
            "--queries-from judgments,passages, or for fewer judged ones with --limit"
        )
    judging = JUDGMENTS in options.queries_from or options.held_out > 0
    _check(collection, options, judging)
    corpus = open_corpus(collection if judging else CollectionOptions(collection.collection), work)
    opened = corpus.collection
    name = opened.name if judging else opened.corpus
    qrels, queries = (opened.qrels(), opened.queries()) if judging else ({}, [])
    held_out: frozenset[str] = frozenset()
    if options.held_out:
        held_out = set_aside(queries, qrels, options.held_out, options.seed, all_of_them=bool(drawing))
    if not drawing:
        return Selection(collection, corpus, name, held_out)
    if JUDGMENTS not in options.queries_from:
        queries = [query for query in queries if query.id in held_out]
    judged = Judged(queries, {query.id: qrels[query.id] for query in queries}, held_out)
    usual = options.seed == DistillationOptions.seed
    path = work.work / "queries" / f"{name}{folder_suffix(options)}"
    path = path if usual else path.with_name(f"{path.name}.seed-{options.seed}")
    folder = query_folder(path, corpus, judged, drawing, options.rows or ROWS, options.seed, work.wait)
    drawn = CollectionOptions(str(folder.path), SPLIT)
    return Selection(drawn, open_corpus(drawn, work), name, held_out)


def drawn_sources(options: DistillationOptions) -> list[str]:
    """Return the sources of queries that are drawn."""
    return [source for source in options.queries_from if source != JUDGMENTS]


def folder_suffix(options: DistillationOptions) -> str:
    """Return what the name of a folder says of a selection; nothing for all judged queries and no others."""
    held_out = f".held-out-{options.held_out}" if options.held_out else ""
    if not drawn_sources(options):
        return held_out
    return f".{'-'.join(options.queries_from)}{held_out}.rows-{options.rows or ROWS}"


def _check(collection: CollectionOptions, options: DistillationOptions, judging: bool) -> None:
    """Raise InputError, before a corpus is read, for what cannot be drawn, or judgments that are missing."""
    if drawn_sources(options) and all(
        Path(name.strip()).is_file() for name in options.negatives_from.split(",")
    ):
        raise InputError(
            f"--negatives-from {options.negatives_from}: run files have no results for queries that are yet "
            "to be drawn; name a system, too, such as bm25"
        )
    source = open_collection(collection.collection, claim=False).source
    if not isinstance(source, BeirFolder):
        if drawn_sources(options):
            raise InputError(
                f"--queries-from {','.join(options.queries_from)}: queries are drawn from folders in BEIR's "
                f"layout; make one of {collection.collection} with python -m repro.subset"
            )
        return
    if not judging:
        return
    split = BeirFolder(source.folder, collection.split or DEFAULT_SPLIT)
    try:
        split.qrels_file()
    except InputError as error:
        if JUDGMENTS in options.queries_from:
            cure = "or draw queries from its texts, which need none: --queries-from passages"
        else:
            cure = "--held-out needs judged queries, leave it out where there are none"
        raise InputError(f"{error}; {cure}") from None
