"""The options of a table's plan."""

import math
from dataclasses import dataclass

from repro.cli.parsing import listed, number, option

HOURS = 8.0, 60.0
"""A night and a weekend."""


@dataclass(frozen=True)
class PlanOptions:
    """Whether a table is only planned, and the time there is for it."""

    plan: bool = option(
        False,
        "make nothing: measure for a while, and say what each row will take on this machine (time, "
        "memory, disk), and which rows fit",
    )
    hours: tuple[float, ...] | None = option(
        None,
        "hours, between commas, for which --plan says what fits (default: 8,60, a night and a weekend)",
        type=listed(number("hours", 0, math.inf, above=True)),
        metavar="H,H",
    )
