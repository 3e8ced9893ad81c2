"""The options of what is told of figures: a table's columns, and how systems are compared."""

from dataclasses import dataclass

from repro.base.errors import InputError
from repro.cli.parsing import option

HOLM, TUKEY = "holm", "tukey"
COLUMNS = (
    "parameters",
    "measures",
    "terms",
    "flops",
    "index",
    "documents-per-second",
    "queries-per-second",
    "energy",
)
DEFAULT_COLUMNS = ("parameters", "measures", "terms", "index", "queries-per-second")
"""Without what takes time to be counted, and what few machines tell."""


def column_names(text: str) -> tuple[str, ...]:
    """Parse names of columns between commas, or ``all``; InputError for one that there is not."""
    names = COLUMNS if text == "all" else tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := [name for name in names if name not in COLUMNS]:
        raise InputError(f"--columns: there is no {unknown[0]!r}; choose from {', '.join(COLUMNS)}, or all")
    return names


@dataclass(frozen=True)
class CorrectionOption:
    """How p-values are corrected for the number of comparisons."""

    correction: str = option(
        HOLM,
        "of p-values for several comparisons: holm (each system with the baseline), or tukey (all pairs of "
        "systems, Tukey's HSD)",
        choices=(HOLM, TUKEY),
    )


@dataclass(frozen=True)
class ShownOptions:
    """What a table shows of its rows, and which of them the others are compared with."""

    columns: tuple[str, ...] = option(
        DEFAULT_COLUMNS,
        f"columns between commas, of {', '.join(COLUMNS)}; or all (default: {','.join(DEFAULT_COLUMNS)})",
        type=column_names,
        metavar="A,B",
    )
    baseline: str | None = option(
        None,
        "the system that the others are compared with (default: the first that was run)",
        type=str.strip,
        metavar="S",
    )
