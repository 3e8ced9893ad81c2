"""Results as Markdown: the measured table, the published one, and README's blocks between markers."""

from collections.abc import Iterable, Mapping, Sequence

from repro.models.systems import System
from repro.report.claims import Evidence, original_sentences, sentences
from repro.report.published import ACTIVE_DIMS, PARAMETERS, Cell, Source, sources_of
from repro.report.results import Row, Table

DEV = "msmarco-passage/dev"
"""What the reproduced README's table was measured on."""
FOLLOWS = {True: "follows from", False: "does not follow from", None: "cannot be told from"}
LABELS = {PARAMETERS: "parameters (M)", ACTIVE_DIMS: "terms/doc"}


def measured_table(table_of: Table, machine: bool = True) -> str:
    """Render a line for each row, the first measure with the 95 % confidence interval of its mean.

    ``machine`` adds what differs from machine to machine: index size and speed.
    """
    first, *others = (str(measure) for measure in table_of.measures)
    header = ["system", "type", "parameters", first, "95 %", *others, "terms/doc", "terms/query"]
    header += ["index", "queries/s"] if machine else []
    lines = []
    for row in table_of.rows:
        cells = [row.system, row.kind, _millions(row.parameters)]
        if row.status != "measured":
            lines.append([*cells, row.status, *["–"] * (len(header) - len(cells) - 1)])
            continue
        low, high = row.intervals[first]
        cells += [f"{row.figures[first]:.4f}", f"{low:.2f}–{high:.2f}"]
        cells += [f"{row.figures[measure]:.4f}" for measure in others]
        cells += [_terms(row.document_terms), _terms(row.query_terms)]
        if machine:
            rate = row.queries_per_second
            cells += [_megabytes(row.index_bytes), f"{rate:,.0f}" if rate else "–"]
        lines.append(cells)
    return table(header, lines)


def not_run_list(rows: Iterable[Row]) -> str:
    """List the systems that were not run, each with the reason."""
    return "\n".join(f"- {row.system} not run: {row.reason}" for row in rows if row.status != "measured")


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
    header = ["system", "figure", "measured", "published", "difference", "verdict", "OK", "OKish", "source"]
    lines = []
    for cell in cells:
        digits = cell.digits
        measured, difference = "–", "–"
        if cell.measured is not None and cell.difference is not None:
            measured = f"{cell.measured:.{digits + 1}f}"
            difference = f"{cell.difference:+.{digits + 1}f}"
        figures = [measured, f"{cell.published:.{digits}f}", difference, cell.verdict or "–"]
        bounds = [f"± {bound:.{digits + 1}f}" for bound in (cell.ok, cell.okish)]
        lines.append([cell.system, LABELS.get(cell.quantity, cell.quantity), *figures, *bounds, cell.source])
    first = cells[0]
    measured_on = f"Measured on {first.collection}: {first.queries:,} judged queries, text {first.text}."
    return f"{table(header, lines)}\n\n{measured_on}\n{_sources(sources_of(first.collection), texts=True)}"


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
        peer = f"Ours over the fastest peer with the same result ({result['fastest_peer']})"
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


def _millions(parameters: int | None) -> str:
    return "–" if parameters is None else f"{parameters / 1e6:.1f}M"


def _terms(terms: float | None) -> str:
    return "–" if terms is None else str(terms) if isinstance(terms, int) else f"{terms:.2f}"


def _megabytes(size: int | None) -> str:
    if size is None:
        return "–"
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
