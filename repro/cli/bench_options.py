"""The options of benchmarks."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from repro.cli.options import IndexingOptions, SearchOptions
from repro.cli.parsing import listed, number, option, positive


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
