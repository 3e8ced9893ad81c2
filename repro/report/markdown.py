"""Results as Markdown: the measured table, the published one, and README's blocks between markers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from repro.cli.shown_options import HOLM, TUKEY
from repro.evaluation.comparison import ALPHA, TESTS
from repro.models.systems import System
from repro.report.claims import Evidence, original_sentences, sentences
from repro.report.columns import BETTER, UNKNOWN, WORSE, Column, cells, columns_of, effect, mark, p_value
from repro.report.published import ACTIVE_DIMS, PARAMETERS, Cell, Source, sources_of
from repro.report.results import Row, Table

DEV = "msmarco-passage/dev"
"""What the reproduced README's table was measured on."""
FOLLOWS = {True: "follows from", False: "does not follow from", None: "cannot be told from"}
ON_PAGES = ("parameters", "measures", "terms")
"""The columns that a page shows."""
MARKED_BY = {
    HOLM: "paired randomisation test over queries, corrected for the number of systems (Holm)",
    TUKEY: "randomised Tukey HSD test over queries, of all pairs of systems",
}
LABELS = {PARAMETERS: "parameters (M)", ACTIVE_DIMS: "terms/doc"}


def measured_table(table_of: Table) -> str:
    """Render a line for each row, with the table's columns, and what their marks mean."""
    lines = _lines(table_of, columns_of(table_of))
    return "\n\n".join(filter(None, [lines, legend(table_of)]))


def page_table(table_of: Table) -> str:
    """Render what pages show: no mark, and nothing that differs from machine to machine."""
    return _lines(table_of, columns_of(replace(table_of, columns=ON_PAGES), marks=False))


def _lines(table_of: Table, columns: Sequence[Column]) -> str:
    first = str(table_of.measures[0])
    headers = [column.header for column in columns]
    not_measured = [UNKNOWN] * len(columns)
    place = headers.index(first) if first in headers else 0
    lines = []
    for row in table_of.rows:
        shown = cells(row, columns) or [*not_measured[:place], row.status, *not_measured[place + 1 :]]
        lines.append([row.label, row.kind, *shown])
    return table(["system", "type", *headers], lines)


def differences_table(table_of: Table) -> str:
    """Render how systems differ, with corrected p-values; with Tukey's correction, all pairs of systems."""
    header = ["system", "than", "measure", "difference", "95 %", "d"]
    header += [f"p, {name}" for name in TESTS[table_of.correction]]
    labels, lines = {row.system: row.label for row in table_of.rows}, []
    for of in table_of.comparisons:
        interval = f"{of.low:+.4f} to {of.high:+.4f}"
        figures = [of.measure, f"{of.mean:+.4f}", interval, effect(of.effect)]
        p_values = [p_value(of.t_test_corrected), f"{p_value(of.p_corrected)} {mark(of):1}"]
        counts = [f"{count:,}" for count in (of.better, of.equal, of.worse)]
        names = [labels[of.system], labels[of.other]]
        lines.append([*names, *figures, *p_values, *counts])
    return table([*header, "better", "equal", "worse"], lines)


def not_run_list(rows: Iterable[Row]) -> str:
    """List the systems that were not run, each with the reason."""
    return bullets(not_run(rows))


def not_run(rows: Iterable[Row]) -> list[str]:
    """Return a sentence for each system that was not run, with the reason."""
    return [f"{row.system} not run: {row.reason}" for row in rows if row.status != "measured"]


def bullets(lines: Iterable[str]) -> str:
    """Render lines as a list."""
    return "\n".join(f"- {line}" for line in lines)


def published_table(systems: Iterable[System]) -> str:
    """Render the figures of MS MARCO dev that were published of ``systems``, each with its source."""
    header = ["system", "type", "parameters", "MRR@10", "R@10", "active dims", "source"]
    lines, sources = [], sources_of(DEV)
    for system in systems:
        for source in [name for name in sources if name in system.published]:
            figures = system.published[source]
            parameters = figures.get(PARAMETERS)
            cells = [system.name, system.kind, f"{parameters:.1f}M" if parameters else "–"]
            cells += [f"{figures[name]:.1f}" for name in ("RR@10", "R@10")]
            lines.append([*cells, f"{figures[ACTIVE_DIMS]:g}" if ACTIVE_DIMS in figures else "–", source])
    return f"{table(header, lines)}\n\n{_sources(sources)}"


def compared_table(cells: Sequence[Cell]) -> str:
    """Render published figures beside measured ones, then what was measured on what, and the sources."""
    first = cells[0]
    measured_on = f"Measured on {first.collection}: {first.queries:,} judged queries, text {first.text}."
    rendered = table(*compared_cells(cells))
    return f"{rendered}\n\n{measured_on}\n{_sources(sources_of(first.collection), texts=True)}"


def compared_cells(cells: Sequence[Cell]) -> tuple[list[str], list[list[str]]]:
    """Return the header, and a line for each published figure."""
    header = ["system", "figure", "measured", "published", "difference", "verdict", "OK", "OKish", "source"]
    lines = []
    for cell in cells:
        digits = cell.digits
        measured, difference = UNKNOWN, UNKNOWN
        if cell.measured is not None and cell.difference is not None:
            measured = f"{cell.measured:.{digits + 1}f}"
            difference = f"{cell.difference:+.{digits + 1}f}"
        figures = [measured, f"{cell.published:.{digits}f}", difference, cell.verdict or UNKNOWN]
        bounds = [f"± {bound:.{digits + 1}f}" for bound in (cell.ok, cell.okish)]
        lines.append([cell.system, LABELS.get(cell.quantity, cell.quantity), *figures, *bounds, cell.source])
    return header, lines


def legend(table_of: Table) -> str:
    """Return what the marks mean, and of what the p-values are; empty if there is nothing to be compared."""
    if not table_of.comparisons:
        baseline = table_of.row(table_of.baseline) if table_of.baseline else None
        lacks = baseline is not None and baseline.status != "measured"
        return f"Nothing was compared: the baseline {table_of.baseline} was not run." if lacks else ""
    test = f"{MARKED_BY[table_of.correction]}, p < {ALPHA:g}"
    return f"{BETTER} {WORSE} significantly better, worse than {table_of.baseline}: {test}."


def claims_list(evidence: Evidence) -> str:
    """Render what figures say, a sentence a line, under where they are from; empty if they say nothing."""
    lines = "".join(f"\n- {sentence}" for sentence in sentences(evidence))
    return f"{evidence.where[0].upper()}{evidence.where[1:]}:\n{lines}" if lines else ""


def original_list(evidences: Sequence[Evidence]) -> str:
    """List the reproduced README's own sentences: each pair of numbers in them, as what it is read, and
    whether it follows from the figures of each of several places.
    """
    lines: list[str] = []
    for readings in zip(*map(original_sentences, evidences)):
        sentence, read_as, stated = readings[0].sentence, readings[0].read_as, readings[0].stated
        if f'- "{sentence}"' not in lines:
            lines.append(f'- "{sentence}"')
        told = [
            f"{FOLLOWS[reading.follows]} {evidence.where}: {reading.given}"
            for evidence, reading in zip(evidences, readings)
        ]
        lines.append(f"    - {stated}, read as {read_as}, {'; '.join(told)}")
    return "\n".join(lines)


def race_table(result: dict) -> str:
    """Render what a benchmark measured: a line for each contestant, then the ratio and the machine."""
    ours = result["ours"]["rate"]
    ran = [c for c in (result["ours"], *result["peers"]) if "rate" in c]
    further = list(dict.fromkeys(column for c in ran for column in c.get("figures", {})))
    lines = [
        [c["name"], f"{c['rate']:,.1f}"]
        + ([f"{ours / c['rate']:.1f} x"] if result["ratio"] else [])
        + [f"{c['peak_memory_mb']:,}"]
        + [_figure(c.get("figures", {}).get(column)) for column in further]
        for c in ran
    ]
    ratio = ["ours / it"] if result["ratio"] else []
    text = table(["who", result["unit"], *ratio, "peak MB", *further], lines)
    sentences = [f"With {result['threads']} threads on {result['machine']['processor']}."]
    if result["ratio"]:
        kind = "although results differ" if result.get("differing") else "with the same result"
        peer = f"Ours over the fastest peer {kind} ({result['fastest_peer']})"
        sentences.insert(0, f"{peer}: **{result['ratio']} x**.")
    if "check" in result:
        sentences.append(result["check"])
    return f"{text}\n\n{' '.join(sentences)}"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Render a Markdown table, its columns aligned: the first two to the left, the others to the right."""
    lines = [list(header), *lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def render(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([render(lines[0]), f"| {' | '.join(rule)} |", *map(render, lines[1:])])


def bar_chart(title: str, axis: str, bars: Mapping[str, float]) -> str:
    """Render a Mermaid chart, which GitHub draws: a bar for each label."""
    labels = ", ".join(f'"{label}"' for label in bars)
    values = ", ".join(f"{value:.1f}" for value in bars.values())
    return f'''```mermaid
xychart-beta
    title "{title}"
    x-axis "{axis}" [{labels}]
    y-axis 0 --> {1.1 * max(bars.values()):.0f}
    bar [{values}]
```'''


def _sources(sources: Mapping[str, Source], texts: bool = False) -> str:
    return "\n".join(
        f"Source `{name}`: {source.title}{f'; text {source.text}' if texts else ''}."
        for name, source in sources.items()
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"
