"""What figures say in sentences, computed from published and from measured ones; and whether the sentences of
the reproduced README follow from its own table.

A sentence compares means. Of several systems it gives the least and the greatest value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repro.models.systems import systems_file, table_systems
from repro.report.published import ACTIVE_DIMS, PARAMETERS, measured_quantity
from repro.report.results import Table

BASELINE, REFERENCE = "bm25", "splade-v3-distilbert"
REVISIONS = ("readme", "later")
"""Of the reproduced README, as systems.yaml names them. The later one keeps what it did not change."""
ROUNDS_TO_NOTHING = 0.05


@dataclass(frozen=True)
class Quantity:
    """What compares a system's figure with another system's.

    ``even`` is its value where the two are equal. ``above`` and ``below`` are the words of a sentence on
    either side of it: the verb of one system, that of several, and the rest. ``opposite`` turns a value below
    into the number that stands in these words: 20 % more for -20 % fewer.
    """

    compute: Callable[[float, float], float]
    unit: str
    even: float
    above: tuple[str, str, str]
    below: tuple[str, str, str]
    opposite: Callable[[float], float]
    read_as: str


QUANTITIES = {
    "gain": Quantity(
        compute=lambda own, other: 100 * (own / other - 1),
        unit=" %",
        even=0,
        above=("beats", "beat", "{against} by {range} ({of})"),
        below=("falls", "fall", "short of {against} by {range} ({of})"),
        opposite=lambda value: -value,
        read_as="{of} of {systems} above that of {against}",
    ),
    "retained": Quantity(
        compute=lambda own, other: 100 * own / other,
        unit=" %",
        even=100,
        above=("reaches", "reach", "{range} of {against}'s {of}"),
        below=("retains", "retain", "{range} of {against}'s {of}"),
        opposite=lambda value: value,
        read_as="{of} of {systems} as a share of that of {against}",
    ),
    "fewer": Quantity(
        compute=lambda own, other: 100 * (1 - own / other),
        unit=" %",
        even=0,
        above=("has", "have", "{range} fewer active dimensions than {against}"),
        below=("has", "have", "{range} more active dimensions than {against}"),
        opposite=lambda value: -value,
        read_as="active dimensions of {systems} below those of {against}",
    ),
    "smaller": Quantity(
        compute=lambda own, other: other / own,
        unit=" x",
        even=1,
        above=("is", "are", "{range} smaller than {against}"),
        below=("is", "are", "{range} larger than {against}"),
        opposite=lambda value: 1 / value,
        read_as="parameters of {against} over those of {systems}",
    ),
}


@dataclass(frozen=True)
class Evidence:
    """Figures of one place: by system, those of measures, ``parameters`` in millions, ``active_dims``.

    ``where`` names the place, ``measure`` is what effectiveness is told by, ``systems`` are the learned
    sparse models that the sentences are about, in their order.
    """

    where: str
    measure: str
    systems: tuple[str, ...]
    figures: Mapping[str, Mapping[str, float]]

    def values(self, quantity: Quantity, of: str, systems: Sequence[str], against: str) -> dict[str, float]:
        """Return a quantity of those of ``systems`` that have the figure ``of``, if ``against`` has it."""
        other = self.figures.get(against, {}).get(of)
        own = {system: self.figures.get(system, {}).get(of) for system in systems}
        return {name: quantity.compute(value, other) for name, value in own.items() if value and other}


@dataclass(frozen=True)
class Reading:
    """A pair of numbers of an original sentence, read as a quantity.

    ``given`` is what the figures give, and ``follows`` tells whether the stated numbers are these, rounded to
    as many digits; None where a figure is missing.
    """

    sentence: str
    read_as: str
    stated: str
    given: str
    follows: bool | None


def of_readme(revision: str) -> Evidence:
    """Return the figures of a revision of the reproduced README."""
    figures: dict[str, Mapping[str, float]] = {}
    for source in REVISIONS[: REVISIONS.index(revision) + 1]:
        figures |= {name: s.published[source] for name, s in table_systems().items() if source in s.published}
    sparse = tuple(name for name in figures if table_systems()[name].kind == "splade" and name != REFERENCE)
    return Evidence(f"published ({revision})", "RR@10", sparse, figures)


def of_table(table: Table) -> Evidence:
    """Return the figures that were measured."""
    rows = [row for row in table.rows if row.status == "measured"]
    figures = {}
    for row in rows:
        found = {name: measured_quantity(row, name) for name in (*row.figures, PARAMETERS, ACTIVE_DIMS)}
        figures[row.system] = {name: value for name, value in found.items() if value is not None}
    sparse = tuple(row.system for row in rows if row.kind == "splade" and row.system != REFERENCE)
    return Evidence(f"measured on {table.collection}", str(table.measures[0]), sparse, figures)


def sentences(evidence: Evidence) -> list[str]:
    """Return what figures say: over the baseline, and against the reference; nothing where either lacks."""
    compared = (
        ("gain", evidence.measure, BASELINE),
        ("retained", evidence.measure, REFERENCE),
        ("fewer", ACTIVE_DIMS, REFERENCE),
        ("smaller", PARAMETERS, REFERENCE),
    )
    return [sentence for comparison in compared for sentence in _told(evidence, *comparison)]


def original_sentences(evidence: Evidence) -> list[Reading]:
    """Return the reproduced README's own sentences: each pair of their numbers in each of its readings."""
    return [
        _read(evidence, claim["sentence"], part, reading)
        for claim in systems_file()["claims"]
        for part in claim["parts"]
        for reading in part["readings"]
    ]


def _told(evidence: Evidence, name: str, of: str, against: str) -> Iterator[str]:
    """Yield a sentence on the systems above the other one, on those below it, and on those that equal it."""
    quantity = QUANTITIES[name]
    values = evidence.values(quantity, of, evidence.systems, against)
    equal = [s for s, value in values.items() if abs(value - quantity.even) < ROUNDS_TO_NOTHING]
    above = {s: v for s, v in values.items() if v > quantity.even and s not in equal}
    below = {s: quantity.opposite(v) for s, v in values.items() if v < quantity.even and s not in equal}
    for (one, several, rest), group in ((quantity.above, above), (quantity.below, below)):
        if group:
            numbers = _range(list(group.values()), 1, quantity.unit)
            verb = one if len(group) == 1 else several
            yield f"{_listed(list(group))} {verb} {rest.format(against=against, of=of, range=numbers)}"
    if equal:
        figure = {PARAMETERS: "number of parameters", ACTIVE_DIMS: "active dimensions"}.get(of, of)
        yield f"{_listed(equal)} {'equals' if len(equal) == 1 else 'equal'} {against} ({figure})"


def _read(evidence: Evidence, sentence: str, part: Mapping, reading: Mapping) -> Reading:
    quantity, stated = QUANTITIES[part["quantity"]], part["stated"]
    of, systems, against = reading["of"], reading["systems"], reading["against"]
    decimals = max(len(str(number).partition(".")[2]) for number in stated)
    values = evidence.values(quantity, of, systems, against)
    bounds = [min(values.values()), max(values.values())] if len(values) == len(systems) else []
    return Reading(
        sentence=sentence,
        read_as=quantity.read_as.format(of=of, systems=_listed(systems), against=against),
        stated=_range(stated, decimals, quantity.unit),
        given=_range(bounds, 1, quantity.unit) if bounds else "–",
        follows=[round(bound, decimals) for bound in bounds] == stated if bounds else None,
    )


def _range(values: Sequence[float], decimals: int, unit: str) -> str:
    low, high = (f"{value:.{decimals}f}" for value in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low}–{high}{unit}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
