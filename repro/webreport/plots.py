"""Effectiveness against size, time and index size: a picture each, as SVG, as PNG, and inside the page."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.base.files import write_bytes
from repro.report.results import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

INK, MUTED, GRID, PAPER = "#1b1f24", "#59636e", "#d9dee3", "#ffffff"
KINDS = {
    "bm25": ("#8a5a00", "s"),
    "splade": ("#0b5cad", "o"),
    "splade-doc": ("#0b7285", "v"),
    "dense": ("#9c2a8f", "^"),
    "fusion": ("#1a7f37", "D"),
    "reranking": ("#b42318", "P"),
}
"""Colour and marker of each kind of system; both tell them apart."""
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a dollar in a system's name is one
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
}
INCHES = (4.4, 3.5)
MARGINS = (0.155, 0.15, 0.985, 0.98)
"""Left, bottom, right, top: where the axes lie in the figure."""
DPI = 200
SUFFIXES = ("svg", "png")
LABEL = 28
"""Characters of a system's name in a picture, so that it fits beside, above or below its point."""


@dataclass(frozen=True)
class Point:
    """A system: where it stands, None if it has no such figure, and its interval."""

    system: str
    kind: str
    x: float | None
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Plot:
    """Effectiveness (``measure``) against a quantity; ``name`` ends the names of its files."""

    name: str
    title: str
    measure: str
    axis: str
    unit: str
    points: Sequence[Point]

    @property
    def description(self) -> str:
        """The picture in words."""
        told = [f"{p.system}: {p.y:.4f} at {_short(p.x)} {self.unit}" for p in self.points if p.x is not None]
        others = [f"{p.system}: {p.y:.4f}, without such a figure" for p in self.points if p.x is None]
        return "; ".join([*told, *others]) + "."


def plots(table: Table) -> list[Plot]:
    """Return the pictures of a table: those for whose quantity any row that was measured has a figure."""
    rows, measure = [row for row in table.rows if row.status == "measured"], str(table.measures[0])
    found = [
        Plot(
            name, f"{measure} and {what}", measure, axis, unit, [_point(row, measure, x) for row, x in with_x]
        )
        for name, what, axis, unit, value in QUANTITIES
        for with_x in [[(row, value(row)) for row in rows]]
    ]
    return [plot for plot in found if any(point.x is not None for point in plot.points)]


def _milliseconds(row: Row) -> float | None:
    rate = row.queries_per_second_with_encoding
    return 1000 / rate if rate else None


QUANTITIES = (
    ("size", "size", "parameters", "parameters", lambda row: row.parameters),
    ("latency", "time", "milliseconds a query, encoding included", "milliseconds", _milliseconds),
    ("index", "index size", "bytes of the index", "bytes", lambda row: row.index_bytes),
)


def _point(row: Row, measure: str, x: float | None) -> Point:
    return Point(row.system, row.kind, x, row.figures[measure], *row.intervals[measure])


def write_plots(table: Table, folder: Path) -> tuple[list[tuple[Plot, bytes]], list[Path]]:
    """Write each picture as SVG and PNG beside the table; return them with their SVG, and the files."""
    pictures, files = [], []
    for plot in plots(table):
        with _settings(plot):
            figure = draw(plot)
            for suffix in SUFFIXES:
                content = io.BytesIO()
                metadata = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
                figure.savefig(content, format=suffix, dpi=DPI, metadata=metadata)
                path = _file(table, plot.name, suffix, folder)
                write_bytes(path, content.getvalue())
                files.append(path)
                if suffix == "svg":
                    pictures.append((plot, content.getvalue()))
    return pictures, files


def plot_files(table: Table, folder: Path) -> list[Path]:
    """Return the files of all pictures that a table can have."""
    return [_file(table, name, suffix, folder) for name, *_ in QUANTITIES for suffix in SUFFIXES]


def _file(table: Table, name: str, suffix: str, folder: Path) -> Path:
    return folder / f"{table.collection}.{name}.{suffix}"


@contextlib.contextmanager
def _settings(plot: Plot) -> Iterator[None]:
    """Draw by this module's settings, none of the user's: equal tables give equal files."""
    os.environ.pop("MPLBACKEND", None)  # matplotlib is not imported with one that it does not know
    import matplotlib

    defaults = {name: of for name, of in matplotlib.rcParamsDefault.items() if "backend" not in name}
    with matplotlib.rc_context(defaults | SETTINGS | {"svg.hashsalt": plot.name}):
        yield


def draw(plot: Plot) -> "Figure":
    """Draw a picture: a point a system with its interval, a line where one has no figure on the x axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure = Figure(figsize=INCHES, facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(*MARGINS)
    axes = figure.add_subplot(facecolor=PAPER)
    axes.set_xscale("log")
    placed = [point for point in plot.points if point.x is not None]
    xs = [point.x for point in placed if point.x is not None]
    spread = max(xs) / min(xs)
    margin = max(2.5, spread**0.25)
    axes.set_xlim(min(xs) / margin, max(xs) * margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if spread > 100 else (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    lows, highs = [p.low for p in plot.points], [p.high for p in plot.points]
    room = max(0.02, 0.12 * (max(highs) - min(lows)))
    axes.set_ylim(min(lows) - room, max(highs) + room)
    axes.set_xlabel(plot.axis)
    axes.set_ylabel(plot.measure)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for point in plot.points:
        _draw_point(axes, point)
    _label(axes, plot.points)
    return figure


def _draw_point(axes: "Axes", point: Point) -> None:
    colour, marker = KINDS[point.kind]
    if point.x is None:
        axes.axhline(point.y, color=colour, linewidth=1, linestyle=(0, (4, 3)))
        return
    axes.plot([point.x] * 2, [point.low, point.high], color=colour, linewidth=1.2, alpha=0.6)
    axes.plot([point.x], [point.y], color=colour, marker=marker, markersize=6, linestyle="none")


def _label(axes: "Axes", points: Sequence[Point]) -> None:
    """Name each point in the place, of those near it, where the name hides least: another name or a point
    counts more than a line, an interval or a distance, and leaving the axes more than any.
    """
    from matplotlib.transforms import Bbox

    inside = axes.get_window_extent()
    taken: list[tuple[Any, int]] = []
    for point in points:
        (x, middle), (_, low), (_, high) = (
            axes.transData.transform((point.x or 1, y)) for y in (point.y, point.low, point.high)
        )
        if point.x is None:
            taken.append((Bbox.from_extents(inside.x0, middle - 1, inside.x1, middle + 1), 2))
        else:
            taken.append((Bbox.from_extents(x - 6, middle - 6, x + 6, middle + 6), 10))
            taken.append((Bbox.from_extents(x - 1, low, x + 1, high), 1))

    def hidden(label: "Annotation") -> float:
        box, (_, up) = label.get_window_extent(), label.xyann
        within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        overlaps = sum(weight for other, weight in taken if box.overlaps(other))
        return overlaps + abs(up) / 30 + (0 if within else 100)

    for point in points:
        labels = list(_labels(axes, point))
        best = min(labels, key=hidden)  # the first of those that hide as little
        for label in labels:
            if label is not best:
                label.remove()
        taken.append((best.get_window_extent(), 10))


def _labels(axes: "Axes", point: Point) -> "Iterator[Annotation]":
    """Yield a point's label at each place that it may have, the best first; a line's is on it."""
    look: dict[str, Any] = {"textcoords": "offset points", "color": KINDS[point.kind][0]}
    name = _shortened(point.system)
    if point.x is None:
        for share, align in ((0.99, "right"), (0.01, "left"), (0.5, "center")):
            for offset, baseline in ((3, "bottom"), (-3, "top")):
                yield axes.annotate(
                    name, (share, point.y), (0, offset), xycoords=axes.get_yaxis_transform(),
                    ha=align, va=baseline, **look,
                )  # fmt: skip
        return
    for up in (0, 11, -11, 22, -22, 33, -33, 44, -44):
        for right, align in ((8, "left"), (-8, "right")):
            yield axes.annotate(name, (point.x, point.y), (right, up), ha=align, va="center", **look)
    for up in (14, -14, 25, -25, 36, -36):
        yield axes.annotate(name, (point.x, point.y), (0, up), ha="center", va="center", **look)


def _shortened(name: str) -> str:
    """Return a name, the middle of a long one left out."""
    half = LABEL // 2
    return name if len(name) <= LABEL else f"{name[: half - 1]}…{name[-half:]}"


def _short(value: float | None) -> str:
    """Render a number of the x axis: 4.4M, 190k, 0.5."""
    if value is None:
        return "–"
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"
