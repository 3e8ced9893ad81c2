"""A table's page, ``<tables>/<collection>.html``, and its plots: written from the table and its figures as
they were just computed, the runs, the encoded texts and the manifests; nothing is encoded, searched or
evaluated.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.base.files import sha256_file, write_text
from repro.base.progress import note
from repro.collections.scan import known_summary
from repro.evaluation.standards import relevance_level
from repro.pipeline.checked_rows import changed_manifests
from repro.pipeline.tabulating import Tabulated
from repro.report import markdown
from repro.report.columns import p_value
from repro.report.page import CELLS, RECORD, changed_page, shown_cells
from repro.report.published import compare
from repro.report.results import Row, Table
from repro.webreport import evidence
from repro.webreport.commands import row_commands, table_commands
from repro.webreport.inline_svg import in_page
from repro.webreport.origins import artifacts, columns
from repro.webreport.page import html_page
from repro.webreport.plots import plot_files, write_plots
from repro.webreport.scores import Scores, differing, packed, scores_of

LISTED = 100_000
"""Queries whose figures a page holds."""
SHOWN = 100
"""Queries whose passages and matching terms a page holds."""
TEXT = 300
"""Characters of a query that are shown."""


def write_pages(made: Iterable[Tabulated]) -> None:
    """Write the page of each query set's table, unless it was not asked for; an older table's goes."""
    for of_set in made:
        _remove_outdated(of_set)
        if of_set.request.table.report:
            _write_page(of_set)


def _page_of(made: Tabulated) -> Path:
    return made.request.table.tables / f"{made.table.collection}.html"


def _remove_outdated(made: Tabulated) -> None:
    """Remove a page that is not the table's, and its plots."""
    path = _page_of(made)
    if any(changed_page(made.table, made.stored, path)):
        for file in (path, *plot_files(made.table, path.parent)):
            file.unlink(missing_ok=True)
        note(f"removed {path} and its plots, which were another table's")


def _write_page(made: Tabulated) -> None:
    request, table, path = made.request, made.table, _page_of(made)
    rows = {row.system: row for row in table.rows if row.status == "measured"}
    with contextlib.ExitStack() as locks:
        for name, of in made.artifacts.items():
            for artifact in of.chain():
                locks.enter_context(artifact.reading(request.work.wait))
            _refuse_changed(of, rows[name])
        held = _evidence(made, rows)
    pictures, files = write_plots(table, path.parent)
    for file in set(plot_files(table, path.parent)) - set(files):
        file.unlink(missing_ok=True)
    blocks = {RECORD: made.stored, CELLS: shown_cells(table), "evidence": held}
    write_text(path, html_page(table.collection, [in_page(*picture) for picture in pictures], blocks))
    note(f"wrote {path}" + (f" and {len(files)} plots as .svg and .png" if files else ""))


def _refuse_changed(of: SystemArtifacts, row: Row) -> None:
    changed, run = [*changed_manifests(of, row)], of.run.path
    if not run.is_file() or sha256_file(run) != row.run_sha256:
        changed.append(run)
    if changed:
        message = "was changed after the table was made; make the table again for its page"
        raise InputError(f"{changed[0]} {message}")


def _evidence(made: Tabulated, rows: dict[str, Row]) -> dict[str, Any]:
    """Return what a page holds besides the table: figures by query, passages, terms, commands, origins.

    InputError if the corpus is not the one that the table was made from any more.
    """
    request, table, corpus, of_rows = made.request, made.table, made.corpus, made.artifacts
    collection, qrels = corpus.collection, corpus.collection.qrels()
    if known_summary(collection, request.work.work) != corpus.summary:
        raise InputError(
            f"the corpus of {collection.name} was changed after the table was made; make the table again for "
            "its page"
        )
    scores = scores_of(made.values, qrels, table.measures)
    listed = scores.of(differing(scores, LISTED)) if len(qrels) > LISTED else scores
    shown = [listed.queries[place] for place in differing(listed, SHOWN)]
    level = relevance_level([str(measure) for measure in table.measures])
    found = evidence.found_documents(of_rows, shown, qrels, level)
    documents = {docid for of in found.values() for docid in of["documents"]}
    texts = {query.id: query.text for query in collection.queries()}
    return {
        "caption": _caption(table),
        "legend": markdown.legend(table),
        "tests": _tests(table),
        "published": _published(table),
        "columns": columns(table),
        "artifacts": {name: artifacts(of, rows[name]) for name, of in of_rows.items()},
        "commands": {
            "where": f"the one that holds {request.table.tables} and {request.runs.runs}",
            "table": [asdict(of) for of in table_commands(request, [row.spec for row in rows.values()])],
            "rows": {
                name: [asdict(c) for c in row_commands(request, rows[name].spec, of, corpus, table.measures)]
                for name, of in of_rows.items()
            },
        },
        "queries": {
            "ids": listed.queries,
            "texts": [evidence.shortened(texts.get(query, ""), TEXT) for query in listed.queries],
        },
        "scores": packed(listed),
        "hits": evidence.HITS,
        "relevant": level,
        "found": found,
        "passages": evidence.passages(collection, corpus.summary.documents, documents),
        "terms": evidence.matching_terms(of_rows, found) if _has_terms(table) else {},
        "contents": _contents(table, listed, shown, [*of_rows]),
    }


def _has_terms(table: Table) -> bool:
    return table.corpus.documents <= evidence.WITH_TERMS


def _caption(table: Table) -> str:
    return (
        f"{table.queries:,} judged queries, {table.corpus.documents:,} documents, text {table.text}; "
        f"{sum(row.status == 'measured' for row in table.rows)} of {len(table.rows)} systems measured"
    )


def _tests(table: Table) -> dict[str, Any]:
    """Return by which test systems were compared, and the p-value of each of the table's comparisons."""
    p_values = [p_value(of.p_corrected) for of in table.comparisons]
    return {
        "by": markdown.MARKED_BY[table.correction],
        "p_values": [p if p.startswith("<") else f"= {p}" for p in p_values],
    }


def _published(table: Table) -> dict[str, Any]:
    """Return published figures beside measured ones, as cells of a table."""
    headers, rows = markdown.compared_cells(compare(table))
    return {"headers": headers, "rows": rows}


def _contents(table: Table, listed: Scores, shown: list[str], systems: list[str]) -> list[str]:
    """Return sentences on what the page holds and what it leaves out."""
    every, terms = len(listed.queries) == table.queries, _has_terms(table)
    what = "Passages and matching terms" if terms else "Passages"
    return [
        f"Every figure of {'all' if every else f'{len(listed.queries):,} of'} {table.queries:,} judged "
        f"queries, for {len(systems)} systems"
        + ("." if every else "; left out are those in which systems differ least. Sums and means under "
           "“query by query” are over those that are here."),
        f"{what} of {len(shown):,} of these queries: the ones in which systems differ "
        "most, each pair of systems in turn, in both directions."
        if len(shown) < len(listed.queries)
        else f"{what} of every query.",
        f"Of such a query, the first {evidence.HITS} passages of each system and up to "
        f"{evidence.RELEVANT} with the best grades, wherever systems ranked them; of a passage the first "
        f"{evidence.CHARACTERS:,} characters. Of a query the first {TEXT}; words are sought in these.",
        f"Terms are those of SPLADE systems, the {evidence.TERMS} with the greatest products one by one. "
        "Products are of impacts, as the index has them, and their sum is the score (a tied score in a run "
        "file is lowered by less than 1, to keep the order)."
        if terms
        else f"No matching terms: the corpus has more than {evidence.WITH_TERMS:,} documents, too many to be "
        "read for them; repro.explain shows those of a query and a passage.",
        "The table's record, all manifests, and no source of anything on the network.",
        f"Beside this page: {table.collection}.json, .csv, .md, and the plots as .svg and .png.",
    ]  # fmt: skip
