"""A forecast as text: what each row takes, where the figures come from, and what fits."""

from collections.abc import Iterable, Sequence

from repro.cli.plan_options import HOURS
from repro.forecast.making import Forecast
from repro.forecast.rates import COUNTED, EARLIER, MEASURED, SHAPE
from repro.forecast.steps import (
    DOCUMENTS,
    EVALUATE,
    INDEX,
    PARTS,
    QUERIES,
    SEARCH,
    Row,
    Step,
    Total,
    fitting,
    total,
)
from repro.report.markdown import table

HEADERS = {
    DOCUMENTS: "encode documents",
    QUERIES: "encode queries",
    INDEX: "index",
    SEARCH: "search",
    EVALUATE: "evaluate",
}
LEAVES = {DOCUMENTS: "encoded documents", QUERIES: "encoded queries", INDEX: "index", SEARCH: "run"}
BUSY = 0.5
"""Processes that run or wait, for each processor, from which on other work delays what is measured."""
UNKNOWN, NOTHING, FINISHED, AT_MOST = "?", "–", "done", "≤"
MODEL = (
    "Seconds are a processor's by threads, as where nothing else runs. They and bytes grow with passages and "
    "queries; an index's\nwith its postings, a search's with the postings that its queries visit (of dense "
    "models: the numbers in the vectors), as\nmeasured at two sizes."
)
NOT_IN_IT = (
    "fetching and unpacking collection and models, reading vectors anew that exceed the memory, comparing "
    "rows, the HTML page"
)


def rendered(of: Forecast, hours: Sequence[float] | None = None) -> str:
    """Return the tables of time and of disk and memory, then a line for each thing that is to be decided.

    ``hours`` (default: a night and a weekend) are those of which is told what fits.
    """
    rows = [row for row in of.rows if row.steps]
    time_table = table(["system", "type", *HEADERS.values(), "sum"], [_times(row) for row in rows])
    disk_table = table(
        ["system", "type", *LEAVES.values(), "sum", "peak memory"], [_disk(row) for row in rows]
    )
    lines = [
        _all(of),
        *(_fitting(of, limit) for limit in hours or HOURS),
        _free_disk(of),
        _free_memory(of),
        *_busy(of),
    ]
    return "\n\n".join([_head(of), time_table, disk_table, _legend(of), "\n".join([*lines, *_missing(of)])])


def duration(seconds: float) -> str:
    """Return a duration to two figures, in the unit that it has few of: 45 s, 12 min, 3.6 h, 5.3 days."""
    for unit, name, most in ((1, "s", 90), (60, "min", 90), (3600, "h", 72)):
        if seconds < most * unit:
            number = seconds / unit
            return f"{number:.1f} {name}" if number < 10 else f"{number:.0f} {name}"
    return f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """Return bytes in MB or GB (powers of ten), as file managers do."""
    if count < 1e9:
        return f"{count / 1e6:.1f} MB" if count < 1e7 else f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"


def _head(of: Forecast) -> str:
    first = of.sizes[0]
    sets = [f"{one.queries:,} judged queries of {one.collection.name} ({one.counted})" for one in of.sizes]
    texts = "the collection's first passages" if first.own_texts else "passages of the embedded sample"
    note = "" if first.own_texts else ", since the collection's are not on this machine"
    return (
        f"{first.documents:,} passages of {first.collection.corpus}, {'; '.join(sets)}.\n"
        f"Measured with {len(first.texts):,} of {texts}{note}."
    )


def _of_part(row: Row, part: str) -> list[Step]:
    return [step for key, step in row.steps.items() if key.part == part]


def _times(row: Row) -> list[str]:
    cells = [_cell(_of_part(row, part), "seconds") for part in PARTS]
    return [row.system, row.kind, *cells, _sum(row, total([row]).seconds, duration)]


def _disk(row: Row) -> list[str]:
    cells = [_cell(_of_part(row, part), "disk") for part in LEAVES]
    of = total([row])
    return [row.system, row.kind, *cells, _sum(row, of.disk, size), _memory(of)]


def _memory(of: Total) -> str:
    return f"up to {size(of.ceiling)}" if of.ceiling > of.memory else size(of.memory)


def _cell(steps: list[Step], figure: str) -> str:
    """Render the sum of a part's steps with where it comes from: of several, the least certain."""
    if not steps:
        return NOTHING
    if any(step.unknown for step in steps):
        return UNKNOWN
    if all(step.done for step in steps):
        return FINISHED
    made = [step for step in steps if not step.done]
    bases = {step.basis if figure == "seconds" else step.disk_basis for step in made}
    basis = next(letter for letter in (SHAPE, MEASURED, EARLIER, COUNTED) if letter in bases)
    shown = duration if figure == "seconds" else size
    bound = f"{AT_MOST} " if figure == "seconds" and any(step.at_most for step in made) else ""
    return f"{bound}{shown(sum(getattr(step, figure) for step in made))} {basis}"


def _sum(row: Row, figure: float, shown) -> str:  # type: ignore[no-untyped-def]
    return UNKNOWN if any(step.unknown for step in row.steps.values()) else shown(figure)


def _legend(of: Forecast) -> str:
    steps = [step for row in of.rows for step in row.steps.values() if not step.done]
    used = {step.basis for step in steps} | {step.disk_basis for step in steps}
    meanings = {
        MEASURED: "measured here, and scaled",
        EARLIER: "measured here by an earlier command",
        SHAPE: "scaled by the model's shape from what others took here; sizes by published active terms",
        COUNTED: "counted",
    }
    letters = "; ".join(f"{letter}: {meaning}" for letter, meaning in meanings.items() if letter in used)
    if any(step.at_most for step in steps):
        letters += (
            f"; {AT_MOST}: larger collections take less than in proportion (or their postings are laid out)"
        )
    reasons = {step.unknown: None for step in steps if step.unknown}
    unknown = "".join(f"\n{UNKNOWN}: {reason}." for reason in reasons)
    return (
        f"{letters}.\n{MODEL}\nWhat several rows share is in each of them, and once in what follows. "
        f"Not in it: {NOT_IN_IT}.{unknown}"
    )


def _names(rows: Iterable[Row]) -> str:
    return ", ".join(row.system for row in rows)


def _all(of: Forecast) -> str:
    known = total(of.rows, of.common)
    return f"All rows: {duration(known.seconds)}, {size(known.disk)} of disk."


def _fitting(of: Forecast, hours: float) -> str:
    rows = fitting(of.rows, 3600 * hours, lambda all_of: all_of.seconds, of.common)
    others = [row for row in of.rows if row not in rows]
    within = f"In {hours:g} hour{'' if hours == 1 else 's'}"
    if not rows:
        return f"{within}: no row."
    together = total(rows, of.common)
    left = f"; leave out {_names(others)}" if others else ""
    takes = f"{duration(together.seconds)}, {size(together.disk)}"
    return f"{within}: {_names(rows)} ({takes}){left}."


def _free_disk(of: Forecast) -> str:
    needed = total(of.rows)
    most = needed.disk + needed.scratch
    needs = f"Disk: {size(needed.disk)}, and up to {size(needed.scratch)} more meanwhile"
    needs += f"; {size(of.free_disk)} free"
    if most <= of.free_disk:
        return f"{needs} at {of.work}: enough."
    rows = fitting(of.rows, of.free_disk, lambda all_of: all_of.disk + all_of.scratch)
    advice = f"there is room for {_names(rows)} only" if rows else "there is room for no row"
    return f"{needs} at {of.work}: not enough; {advice}, or name a --work on another disk."


def _free_memory(of: Forecast) -> str:
    needed = total(of.rows)
    large = [row for row in of.rows if total([row]).memory > of.free_memory]
    verdict = f"not enough for {_names(large)}" if large else "enough"
    heap = (
        f" (a stage of Java's takes of up to {size(needed.ceiling)} what there is)" if needed.ceiling else ""
    )
    return f"Memory: up to {size(needed.memory)}{heap}; {size(of.free_memory)} free: {verdict}."


def _busy(of: Forecast) -> list[str]:
    if of.busy < BUSY:
        return []
    return [
        f"This machine is busy ({of.busy:.1f} processes for each processor before this): as long as it is, "
        "all takes longer."
    ]


def _missing(of: Forecast) -> list[str]:
    rows = [row for row in of.rows if row.missing]
    return [f"{row.system}: its weights are {row.missing}." for row in rows]
