"""Published figures beside measured ones: what was published of a collection's systems, and the verdicts.

A figure is compared only where it was measured on a collection, and with the options, that its source states.
Both bounds are two-sided, as a figure that is too high is no reproduction either:

    OK      the measured figure, rounded to the digits of the published one, is the published one
    OKish   it differs by no more than the tolerance that systems.yaml states for the source, and why
    FAIL    it differs by more
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from repro.models.systems import systems_file, table_systems
from repro.report.results import Row, Table

PARAMETERS, ACTIVE_DIMS = "parameters", "active_dims"
"""What is published besides measures: a model's parameters in millions, a document's mean active terms."""
EXACT = 1e-9
"""Far below any published digit: what subtracting floats may add to a difference."""


@dataclass(frozen=True)
class Source:
    """Where figures were published; systems.yaml says what the fields mean."""

    title: str
    collections: tuple[str, ...]
    text: str
    decimals: int
    okish: dict[str, float]
    percent: bool = False
    options: str = ""

    def unit(self, quantity: str) -> float:
        """Return what one of its figures is to be multiplied by: measures become fractions."""
        return 0.01 if self.percent and quantity not in (PARAMETERS, ACTIVE_DIMS) else 1.0

    def digits(self, quantity: str) -> int:
        """Return the decimals of one of its figures in this unit."""
        return self.decimals + (2 if self.unit(quantity) < 1 else 0)


@dataclass(frozen=True)
class Cell:
    """One published figure beside the measured one, if there is one; ``verdict`` is empty if there is none.

    ``quantity`` is a measure, or one of PARAMETERS and ACTIVE_DIMS; measures are fractions. ``ok`` and
    ``okish`` are the greatest differences, up or down, of these verdicts. ``collection`` is the ir_datasets
    id and ``queries`` the number of those that were measured here; ``text`` and ``published_text`` are the
    variants of the passages' text.
    """

    system: str
    quantity: str
    measured: float | None
    published: float
    difference: float | None
    verdict: str
    ok: float
    okish: float
    digits: int
    source: str
    queries: int
    collection: str
    text: str
    published_text: str


@dataclass(frozen=True)
class Published:
    """What was published of a system: figures by source, in the sources' own units."""

    name: str
    hub: str | None
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def of(self, row: Row) -> bool:
        """Tell whether a row is of this system: the table's own, or a model by its name on the Hub."""
        return row.spec == self.name or (self.hub is not None and row.hub == self.hub)


@cache
def sources() -> dict[str, Source]:
    """Return the sources of systems.yaml."""
    return {
        name: Source(**{**entry, "collections": tuple(entry["collections"])})
        for name, entry in systems_file()["sources"].items()
    }


@cache
def published() -> list[Published]:
    """Return all that was published: of the table's systems, and of others."""
    of_table = [Published(name, system.hub, system.published) for name, system in table_systems().items()]
    others = systems_file()["others"].items()
    return [*of_table, *(Published(name, entry["hub"], entry["published"]) for name, entry in others)]


def sources_of(dataset: str | None) -> dict[str, Source]:
    """Return the sources with figures on an ir_datasets id; none for a collection that has no id."""
    return {name: source for name, source in sources().items() if dataset in source.collections}


def compare(table: Table) -> list[Cell]:
    """Return every figure that was published of a table's collection, beside the table's own.

    Of a system with other options than the source's there is no cell; a system that was not measured, or has
    no row, has cells without a measured figure.
    """
    cells: list[Cell] = []
    for name, source in sources_of(table.dataset).items():
        for system in published():
            if name not in system.figures:
                continue
            rows = [row for row in table.rows if system.of(row)]
            alike = [row for row in rows if row.status != "measured" or row.options == source.options]
            missing = [None] if not rows and not source.options else []
            for row in (*alike, *missing):
                cells += _cells(table, row, system, name)
    return cells


def failures(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that FAIL, of systems that reproduce the figures of none of their sources.

    Where one README has had two revisions of a model's figures, a model that matches one need not match the
    other.
    """
    by_system: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        by_system.setdefault(cell.system, {}).setdefault(cell.source, []).append(cell)
    failed: list[Cell] = []
    for of_system in by_system.values():
        wrong = [[cell for cell in of_source if cell.verdict == "FAIL"] for of_source in of_system.values()]
        failed += [cell for of_source in wrong for cell in of_source] if all(wrong) else []
    return failed


def verdict(difference: float, ok: float, okish: float) -> str:
    """Return OK, OKish or FAIL for a difference in either direction."""
    size = abs(difference)
    return "OK" if size <= ok + EXACT else "OKish" if size <= okish + EXACT else "FAIL"


def measured_quantity(row: Row, quantity: str) -> float | None:
    """Return a row's figure by the name that published ones have."""
    if quantity == PARAMETERS:
        return None if row.parameters is None else row.parameters / 1e6
    return row.document_terms if quantity == ACTIVE_DIMS else row.figures.get(quantity)


def _cells(table: Table, row: Row | None, system: Published, name: str) -> Iterator[Cell]:
    source = sources()[name]
    for quantity, figure in system.figures[name].items():
        unit, digits = source.unit(quantity), source.digits(quantity)
        value, ok, okish = figure * unit, 0.5 / 10**digits, source.okish[quantity] * unit
        measured = None if row is None else measured_quantity(row, quantity)
        difference = None if measured is None else measured - value
        yield Cell(
            system=system.name if row is None else row.system,
            quantity=quantity,
            measured=measured,
            published=value,
            difference=difference,
            verdict="" if difference is None else verdict(difference, ok, okish),
            ok=ok,
            okish=okish,
            digits=digits,
            source=name,
            queries=table.queries,
            collection=table.dataset or "",
            text=table.text,
            published_text=source.text,
        )
