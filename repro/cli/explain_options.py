"""The options of ``repro.explain``: whose terms are shown, and how many."""

from dataclasses import dataclass
from pathlib import Path

from repro.cli.parsing import option, positive


@dataclass(frozen=True)
class ExplainOptions:
    """What is encoded, beside the text itself, and what is shown of it."""

    against: str | None = option(
        None, "a passage: show the terms that it shares with the text, a query", metavar="PASSAGE"
    )
    query_id: str | None = option(
        None, "take the query from --collection, in the place of the text", metavar="ID"
    )
    document_id: str | None = option(
        None, "take the passage from --collection, in the place of --against", metavar="ID"
    )
    system: str = option(
        "splade-tiny",
        "a SPLADE system of the table, splade:<model> or splade-doc:<model> (default: splade-tiny)",
    )
    work: Path = option(
        Path("work"),
        "where the index of --collection lies, whose idf weighs queries of splade-doc:<model> (default: "
        "./work)",
        type=Path,
    )
    top: int = option(20, "terms shown, the strongest (default: 20)", type=positive("top"), metavar="N")
