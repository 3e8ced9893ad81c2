"""The options of commands that make a part of a collection: its queries split, its documents chosen."""

from dataclasses import dataclass
from pathlib import Path

from repro.cli.parsing import option, share


@dataclass(frozen=True)
class SplitOptions:
    """How a collection's queries are split, and where the result goes."""

    by: str = option(
        "passages",
        "passages: queries that share a relevant passage stay together; queries: they are divided, each with "
        "all its judgments, so that a passage may be relevant in both parts (default: passages)",
        choices=("passages", "queries"),
    )
    seed: int = option(42, "of the draw (default: 42)", type=int)
    test: float = option(
        0.5,
        "share for testing: of the passages, with their queries, or of the queries (default: 0.5)",
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
