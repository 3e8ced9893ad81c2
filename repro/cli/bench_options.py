"""The options of benchmarks."""

import hashlib
import math
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import file_name
from repro.cli.options import IndexingOptions, SearchOptions
from repro.cli.parsing import listed, number, option, positive
from repro.cli.training_options import query_sources

UNCHANGED = "adapt"
"""The variant of the recipe that changes nothing, by the recipe's name."""
TRAINED_SHAPES, ENCODED_SHAPES = ("tiny", "mini", "small"), ("distilbert",)
DENSE_SHAPES = ("minilm-l12", "base")
"""Shapes of random models: for encoding and training, for encoding alone, and of dense models."""
LONGEST_NAME = 60
"""Letters of a variant's name, which is a part of file names and a cell of tables."""


@dataclass(frozen=True)
class AdaptedCollection:
    """A folder in BEIR's layout (or ``sample``), the split whose queries are learned from, and those that
    are measured, as one query set.
    """

    folder: str
    train: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """Changes of a recipe, KEY=VALUE, under a name that is fit for files."""

    name: str
    changes: tuple[str, ...] = ()


def adapted_collections(text: str) -> tuple[AdaptedCollection, ...]:
    """Parse ``FOLDER:TRAIN:TEST[+TEST],...``; InputError if one has another form, or a folder occurs
    twice: a variant must not be chosen by the collection that it is then measured on.
    """
    found = tuple(map(_adapted_collection, text.split(",")))
    folders = [Path(collection.folder).resolve() for collection in found]
    for place, collection in enumerate(found):
        if folders[place] in folders[:place]:
            raise InputError(
                f"--collections: {collection.folder} occurs twice; name it once, with all test splits as "
                "FOLDER:TRAIN:TEST+TEST"
            )
    return found


def _adapted_collection(text: str) -> AdaptedCollection:
    folder, train, test = text.rsplit(":", 2) if text.count(":") >= 2 else ("", "", "")
    tests = tuple(test.split("+"))
    if not (folder and train and all(tests)) or len(set(tests)) < len(tests):
        raise InputError(
            f"--collections {text}: expected FOLDER:TRAIN:TEST, a folder in BEIR's layout (or sample) with "
            "names of its splits; several test splits have a + between them, each once"
        )
    if train in tests:
        raise InputError(
            f"--collections {text}: the split {train} would be learned from and measured; name two"
        )
    return AdaptedCollection(folder, train, tests)


def variants(text: str) -> tuple[Variant, ...]:
    """Parse ``KEY=VALUE KEY=VALUE;KEY=VALUE;...``, values with blanks between quotes as in a shell.

    ``adapt`` stands for no change. InputError for anything else, or two variants of one name.
    """
    found = tuple(map(_variant, text.split(";")))
    names = [variant.name for variant in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--variants {text}: {name} occurs twice; name each variant once")
    return found


def _variant(text: str) -> Variant:
    try:
        changes = tuple(shlex.split(text))
    except ValueError as error:  # a quotation mark too few
        raise InputError(f"--variants {text}: {str(error).lower()}; expected KEY=VALUE ...") from None
    if changes == (UNCHANGED,):
        return Variant(UNCHANGED)
    if not changes or not all(change.partition("=")[0] and "=" in change for change in changes):
        raise InputError(
            f"--variants {text!r}: expected KEY=VALUE ..., changes of the recipe {UNCHANGED}, or "
            f"{UNCHANGED} for none; variants have a ; between them"
        )
    name = file_name(" ".join(changes).replace("=", "-"))
    if len(name) > LONGEST_NAME:
        digest = hashlib.sha256(" ".join(changes).encode()).hexdigest()
        name = f"{name[: LONGEST_NAME - 7]}-{digest[:6]}"
    return Variant(name, changes)


@dataclass(frozen=True)
class BenchOptions:
    """What a benchmark takes of the work, and what it does with the result; each race reads its own."""

    system: str | None = option(None, "whose model (default: splade-tiny; for dense, all-minilm-l6-v2)")
    shape: str | None = option(
        None,
        "of encode, train: random weights instead, in BERT's shape (tiny, mini, small); of encode also "
        "distilbert, and for dense models minilm-l12 and base",
        choices=(*TRAINED_SHAPES, *ENCODED_SHAPES, *DENSE_SHAPES),
    )
    limit: int = option(4096, "passages (default: 4096)", type=positive("limit"), metavar="N")
    every: int = option(
        16,
        "peers that do not compete, and slow searches, take every Nth (default: 16)",
        type=positive("every"),
        metavar="N",
    )
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
        "of scale and memory, and of killed the first, in documents (default: 100000,300000,1000000)",
        type=listed(positive("sizes")),
        metavar="N,N",
    )
    documents: int = option(
        8_841_823,
        "of walk: documents (default: 8841823, as in MS MARCO)",
        type=positive("documents"),
        metavar="N",
    )
    blocks: tuple[int, ...] = option(
        (),
        "of scale: race the compiled search with block-max pruning (pip install bmp), blocks of so many "
        "documents (default: none; 8,16,32,64 are usual), every Nth query",
        type=listed(positive("blocks")),
        metavar="N,N",
    )
    queries: int = option(
        55_578,
        "of scale, walk: queries of the run that is evaluated (default: 55578, as in MS MARCO's dev set; at "
        "1,000 hits the run has 2 GB)",
        type=positive("queries"),
        metavar="N",
    )
    kills: int = option(20, "of killed, in each stage (default: 20)", type=positive("kills"), metavar="N")
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
    collections: tuple[AdaptedCollection, ...] = option(
        (),
        "of adapt: folders in BEIR's layout (or sample), the split to learn from and the one to measure "
        "(several: TEST+TEST)",
        type=adapted_collections,
        metavar="FOLDER:TRAIN:TEST,...",
    )
    variants: tuple[Variant, ...] = option(
        (Variant(UNCHANGED),),
        "of adapt: changes of its recipe, variants separated by ; (default: adapt, the recipe as it is); of "
        "several, each collection gets the one that is best on the others",
        type=variants,
        metavar="'KEY=VALUE ...;...'",
    )
    queries_from: tuple[str, ...] | None = option(
        None,
        "of adapt: as in repro.train (default: the recipe's)",
        type=query_sources,
        metavar="A,B",
    )
    only: str | None = option(None, "only contestants whose name contains this, beside ours", metavar="TEXT")
    json: Path | None = option(None, "write the results here", type=Path, metavar="FILE")
    readme: bool = option(False, "put the result into its block of README.md or a page in docs/, too")
