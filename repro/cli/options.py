"""The options of the way from a collection to a table, in groups: frozen dataclasses that hold each default
once (``parsing``). Beside it are those of parts of collections, of training and of benchmarks.
"""

import argparse
import dataclasses
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from repro.cli.parsing import Group, listed, number, option, positive, read_options, tag
from repro.formats.runs import TIES

PRECISIONS = ("exact", "float32", "bf16", "int8")
ROUNDED = ("bf16", "int8")
"""Those of PRECISIONS with other results than the exact ones."""
SCORERS = ("lucene", "compiled")
FAISS_KINDS = ("flat", "float16", "hnsw")
LARGEST_SCALE = 1_000_000
"""Above it, an impact might not fit 32 bits. Sums of impacts are exact at any scale."""


def processors() -> int:
    """Return the number of processors; under torchrun, one process's share of them."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@dataclass(frozen=True)
class CollectionOptions:
    """What is searched, and whose queries and judgments are taken."""

    collection: str = option(
        "sample",
        "'sample' (embedded), an ir_datasets id, or a folder in BEIR's layout (default: sample)",
        metavar="C",
    )
    split: str | None = option(
        None, "which qrels/<split>.tsv of a BEIR folder or the sample (default: test)", metavar="S"
    )


@dataclass(frozen=True)
class SystemOption:
    """The system that a stage works for."""

    system: str = field(
        metadata={
            "help": "a system of the table, splade:<model>, dense:<model>, splade-doc:<model> (queries "
            "without inference), or what combines some: A+B, 'A>>cross-encoder:<model>'"
        }
    )


@dataclass(frozen=True)
class WorkOptions:
    """Where artifacts go, and how they are made; decides no figure."""

    work: Path = option(Path("work"), "where vectors and indexes go (default: ./work)", type=Path)
    force: bool = option(False, "make it anew even if it is whole and current")
    wait: bool = option(
        True, "end with a sentence, instead of waiting, if another process makes the same thing"
    )
    threads: int = field(
        default_factory=processors,
        metadata={
            "help": "threads (default: all processors; under torchrun, each process's share)",
            "type": positive("threads"),
            "metavar": "N",
        },
    )


@dataclass(frozen=True)
class RunsOptions:
    """Where run files go."""

    runs: Path = option(Path("runs"), "where run files go (default: ./runs)", type=Path)


@dataclass(frozen=True)
class QueryOptions:
    """Which queries are taken."""

    all_queries: bool = option(False, "take queries without a judgment, too")


@dataclass(frozen=True)
class EncodingOptions:
    """What a learned weight is and what it becomes in an index."""

    scale: float = option(
        256 / 5,
        "impact = round(weight x X) of sparse systems (default: 256/5, Pyserini's)",
        type=number("scale", 0, LARGEST_SCALE, above=True),
        metavar="X",
    )
    precision: str = option(
        "exact",
        "of a SPLADE model's output layer: exact (screened, equal to float32), float32, or bf16 (rounded); "
        "of a dense model's layers: exact, or int8 (rounded, faster)",
        choices=PRECISIONS,
    )


@dataclass(frozen=True)
class Bm25Options:
    """BM25's parameters, by default Anserini's."""

    k1: float = option(0.9, "BM25's k1 (default: 0.9)", type=number("k1", 0, math.inf))
    b: float = option(0.4, "BM25's b (default: 0.4)", type=number("b", 0, 1))


@dataclass(frozen=True)
class DenseOptions:
    """The kind of index that dense systems get."""

    faiss: str = option(
        "flat",
        "dense index: flat (exact), float16 (exact over rounded vectors, half the disk), hnsw (approximate "
        "graph, in memory)",
        choices=FAISS_KINDS,
    )


@dataclass(frozen=True)
class SearchOptions:
    """How many documents are found, by which terms, and how equal scores are ordered."""

    hits: int = option(1000, "documents a query (default: 1000)", type=positive("hits"), metavar="K")
    max_query_terms: int | None = option(
        None,
        "search with the N strongest terms of a sparse query only: faster, not exact (default: all)",
        type=positive("max-query-terms"),
        metavar="N",
    )
    ties: str = option(
        "anserini",
        "order of equal scores: anserini (docid ascending, the default) or trec_eval (docid descending)",
        choices=TIES,
    )


@dataclass(frozen=True)
class ScorerOption:
    """What adds impacts up, which changes no result."""

    scorer: str | None = option(
        None,
        "of impacts: lucene (the index) or compiled (what python -m repro.index --postings made of it); "
        "default: compiled if that is there",
        choices=SCORERS,
    )


@dataclass(frozen=True)
class IndexesOption:
    """Indexes that are searched together in the place of the collection's own."""

    index: tuple[Path, ...] = option(
        (),
        "search these indexes of parts of a collection, results merged exactly as from one of all (sparse "
        "systems, and dense ones with flat or float16 indexes; default: the collection's own)",
        type=listed(Path),
        metavar="FOLDER,FOLDER",
    )


@dataclass(frozen=True)
class TagOption:
    """The run's name in its own file."""

    tag: str | None = option(
        None, "the run's last column (default: the system's name, as TREC's checkers take it)", type=tag
    )


@dataclass(frozen=True)
class IndexingOptions:
    """The way a Lucene index is built, which changes no result. None keeps what an index there has."""

    indexer: str | None = option(
        None,
        "of impacts: this project's, or Anserini's own, slower (default: repro)",
        choices=("repro", "anserini"),
    )
    store_raw: bool | None = option(
        None, "keep each record in a Lucene index, for display, as Anserini's --storeRaw", const=True
    )
    merge: bool | None = option(
        None,
        "leave a Lucene index in several segments: built sooner, searched more slowly",
        flag="--no-merge",
        const=False,
    )
    postings: bool | None = option(
        None,
        "lay an impact index's postings out for compiled search as well, beside the index: larger than it, "
        "searched several times as fast, with the same results",
        const=True,
    )
    memory: int = option(
        2048, "the impact indexer's heap (default: 2048)", type=positive("memory"), metavar="MB"
    )


@dataclass(frozen=True)
class ShardOptions:
    """How much is made between two points at which an interrupted run can go on."""

    shard_size: int = option(
        100_000, "documents in a shard (default: 100,000)", type=positive("shard-size"), metavar="N"
    )


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured, if it is not what the collection states."""

    measures: list[str] | None = option(
        None, "of ir_measures, e.g. nDCG@10 AP(rel=2) (default: the collection's)", nargs="+", metavar="M"
    )
    relevance_level: int | None = option(
        None,
        "grade from which on a document counts as relevant (default: the collection's)",
        type=positive("relevance-level"),
        metavar="N",
    )


@dataclass(frozen=True)
class EvaluationOptions:
    """How runs are read and their figures shown."""

    qrels: Path | None = option(None, "judgments in TREC's form, instead of a collection's", type=Path)
    by_rank: bool = option(False, "order by the rank column, as MS MARCO's script does")
    per_query: bool = option(False, "print each query's figures, too")
    compare: bool = option(
        False,
        "print each further run's difference from the first with its confidence interval, corrected p-values "
        "of two tests, Cohen's d, and the number of queries that are better, equal and worse",
    )


@dataclass(frozen=True)
class TableOptions:
    """What the table shows and where it goes."""

    systems: str | None = option(
        None,
        "systems of the table, splade:<model>, dense:<model>, splade-doc:<model>, A+B, "
        "'A>>cross-encoder:<model>' (default: the table's, and what repro.train made of this collection)",
        metavar="A,B,C",
    )
    tables: Path = option(Path("tables"), "where tables go (default: ./tables)", type=Path)
    dry_run: bool = option(False, "print the commands that would run, and stop")
    check: bool = option(
        False,
        "make nothing: compare the collection's table, and the pages that show it, with its runs, judgments "
        "and weights; exit code 1 if any figure differs",
    )
    keep_going: bool = option(False, "if a stage fails, go on with the other systems")
    postings: bool = option(
        False, "lay impact indexes' postings out for compiled search before they are searched (repro.index)"
    )
    report: bool = option(True, "leave out the HTML page and the plots that show where the figures come from")


@dataclass(frozen=True)
class SystemOptions:
    """All options that decide a system's figures, by group; each engine reads its own."""

    encoding: EncodingOptions = EncodingOptions()
    bm25: Bm25Options = Bm25Options()
    dense: DenseOptions = DenseOptions()
    search: SearchOptions = SearchOptions()
    queries: QueryOptions = QueryOptions()
    tag: TagOption = TagOption()


def read_system_options(parsed: argparse.Namespace) -> SystemOptions:
    """Return the options that decide figures; a group that the command did not declare has its defaults."""

    def read(group: type[Group]) -> Group:
        declared = all(hasattr(parsed, entry.name) for entry in dataclasses.fields(group))
        return read_options(group, parsed) if declared else group()

    return SystemOptions(
        encoding=read(EncodingOptions),
        bm25=read(Bm25Options),
        dense=read(DenseOptions),
        search=read(SearchOptions),
        queries=read(QueryOptions),
        tag=read(TagOption),
    )
