"""The options of all commands, in groups: frozen dataclasses that hold each default once (``parsing``)."""

import argparse
import dataclasses
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from repro.cli.parsing import Group, listed, number, option, positive, read_options, share, tag
from repro.formats.runs import TIES

PRECISIONS = ("exact", "float32", "bf16")
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

    system: str = field(metadata={"help": "a system of the table, or splade:<model>, dense:<model>"})


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
        "of a SPLADE model's output layer: exact (screened, equal to float32), float32, or bf16 (rounded)",
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
class TagOption:
    """The run's name in its own file."""

    tag: str | None = option(None, "the run's last column (default: the system's name)", type=tag)


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
class SplitOptions:
    """How a collection's queries are split, and where the result goes."""

    seed: int = option(42, "of the draw (default: 42)", type=int)
    test: float = option(
        0.5,
        "share of the passages whose queries are for testing (default: 0.5)",
        type=share("test"),
        metavar="SHARE",
    )
    work: Path = option(Path("work"), "where it goes (default: ./work)", type=Path)


@dataclass(frozen=True)
class SubsetOptions:
    """Which documents and queries are kept of a collection, and where the result goes."""

    recipe: str | None = option(
        None, "a subset that ships with the project: msmarco-mini; instead of --collection", metavar="NAME"
    )
    documents: Path | None = option(None, "a file of document ids, one a line", type=Path, metavar="FILE")
    queries: Path | None = option(
        None,
        "a file of query ids, one a line (default: all that have a relevant document left)",
        type=Path,
        metavar="FILE",
    )
    texts: Path | None = option(
        None,
        "take the documents from this file of id, tab, text: MS MARCO's own collection.tsv, whose text "
        "ir_datasets repairs",
        type=Path,
        metavar="FILE",
    )
    name: str | None = option(None, "the folder's name (default: <collection>-subset)", metavar="NAME")
    work: Path = option(Path("work"), "where it goes, in subset/ (default: ./work)", type=Path)


@dataclass(frozen=True)
class DistillationOptions:
    """What distillation data are made of."""

    teacher: str = option(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "a cross-encoder (folder or Hub name) or dense:<model> (default: "
        "cross-encoder/ms-marco-MiniLM-L6-v2)",
    )
    negatives_from: str = option(
        "bm25", "systems of the table or run files that rank the candidates (default: bm25)", metavar="A,B"
    )
    depth: int = option(100, "candidates of a query (default: 100)", type=positive("depth"), metavar="N")
    positives: int = option(
        1, "rows of a query, a relevant document each (default: 1)", type=positive("positives"), metavar="N"
    )
    seed: int = option(42, "of the draw of negatives (default: 42)", type=int)
    shard_size: int = option(
        1024,
        "rows in a part; whole parts are kept when the work is interrupted (default: 1024)",
        type=positive("shard-size"),
        metavar="N",
    )
    limit: int | None = option(None, "only the first N queries", type=positive("limit"), metavar="N")
    output: Path | None = option(None, "folder (default: <work>/distilled/<collection>.<teacher>)", type=Path)


@dataclass(frozen=True)
class TrainingOptions:
    """What is trained, and how it is watched and kept; the recipe decides the rest."""

    recipe: str | None = option(None, "splade-tiny, splade-mini, splade-small, sample, or a file")
    mlm: str | None = option(
        None,
        "pretrain a masked language model from random weights on this collection's texts",
        metavar="C",
    )
    shape: str = option("tiny", "of --mlm: BERT's (default: tiny)", choices=("tiny", "mini", "small"))
    minutes: float = option(5.0, "of --mlm (default: 5)", type=number("minutes", 0, math.inf, above=True))
    set: list[str] = field(
        default_factory=list,
        metadata={"help": "change entries of the recipe", "nargs": "+", "metavar": "KEY=VALUE"},
    )
    output: Path | None = option(None, "the model's folder (default: <work>/trained/<recipe>)", type=Path)
    stock: bool = option(False, "with Sentence Transformers' own modules, slower")
    report_to: str = option("none", "a tracker that transformers knows: tensorboard, wandb, ...")
    log_every: int | None = option(
        None, "steps between two lines of the log", type=positive("log-every"), metavar="STEPS"
    )
    push_to_hub: str | None = option(None, "hand the model to the Hub", metavar="OWNER/NAME")


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
        "print each further run's difference from the first, with a paired randomisation test's p-value",
    )


@dataclass(frozen=True)
class TableOptions:
    """What the table shows and where it goes."""

    systems: str | None = option(
        None,
        "systems of the table, splade:<model>, dense:<model> (default: the table's, and what repro.train "
        "made of this collection)",
        metavar="A,B,C",
    )
    tables: Path = option(Path("tables"), "where tables go (default: ./tables)", type=Path)
    dry_run: bool = option(False, "print the commands that would run, and stop")
    keep_going: bool = option(False, "if a stage fails, go on with the other systems")


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


@dataclass(frozen=True)
class BenchOptions:
    """What a benchmark takes of the work, and what it does with the result; each race reads its own."""

    system: str | None = option(None, "whose model (default: splade-tiny; for dense, all-minilm-l6-v2)")
    shape: str | None = option(
        None, "of encode, train: random weights in BERT's shape instead", choices=("tiny", "mini", "small")
    )
    limit: int = option(4096, "passages (default: 4096)", type=positive("limit"), metavar="N")
    every: int = option(16, "slow peers take every Nth (default: 16)", type=positive("every"), metavar="N")
    rounds: int = option(5, "turns of each (default: 5)", type=positive("rounds"), metavar="N")
    hits: int = option(
        SearchOptions.hits, "documents a query (default: 1000)", type=positive("hits"), metavar="K"
    )
    memory: int = option(
        IndexingOptions.memory,
        "the indexer's heap (default: 2048)",
        type=positive("memory"),
        metavar="MB",
    )
    sizes: tuple[int, ...] = option(
        (100_000, 300_000, 1_000_000),
        "of scale, in documents (default: 100000,300000,1000000)",
        type=listed(positive("sizes")),
        metavar="N,N",
    )
    queries: int = option(
        55_578,
        "of scale: queries of the run that is evaluated (default: 55578, as in MS MARCO's dev set; at 1,000 "
        "hits the run has 2 GB)",
        type=positive("queries"),
        metavar="N",
    )
    batch: int = option(
        48, "of train, in rows of 1 + 5 texts (default: 48)", type=positive("batch"), metavar="N"
    )
    data: Path | None = option(None, "of train: distillation data", type=Path, metavar="FOLDER")
    recipe: list[str] = field(
        default_factory=lambda: ["scratch"],
        metadata={
            "help": "of sparsity: a recipe, then KEY=VALUE ... (default: scratch)",
            "nargs": "+",
            "metavar": "R",
        },
    )
    weights: tuple[float, ...] = option(
        (0.2, 2.0, 20.0),
        "of sparsity (default: 0.2,2,20)",
        type=listed(number("weights", 0, math.inf)),
        metavar="W,W",
    )
    only: str | None = option(None, "only contestants whose name contains this, beside ours", metavar="TEXT")
    json: Path | None = option(None, "write the results here", type=Path, metavar="FILE")
    readme: bool = option(False, "put the result into its block of README.md or a page in docs/, too")
