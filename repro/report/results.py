"""The rows of a results table: what was measured, read from runs and manifests, or why it was not."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import sha256_file
from repro.base.progress import track
from repro.cli.options import SystemOptions
from repro.cli.parsing import arguments
from repro.collections.model import Qrels
from repro.collections.scan import CorpusSummary
from repro.engines import option_groups
from repro.evaluation.measures import Measure, evaluate
from repro.evaluation.significance import intervals
from repro.formats.runs import read_queries
from repro.models.systems import System


@dataclass(frozen=True)
class Row:
    """One system's line. Figures are missing when it was not measured; ``reason`` then says why.

    ``figures`` has each measure's mean over all judged queries, ``intervals`` the 95 % confidence interval of
    that mean; ``document_terms`` and ``query_terms`` are mean numbers of non-zero terms, or a dense model's
    dimensions; ``parameters`` counts the model's; ``index_bytes`` is the size of the index on disk.

    ``spec`` is what ``--systems`` calls the system, ``hub`` its model's name on the Hub, ``options`` the
    command line of its options that are not the default. ``unanswered`` are the judged queries that the run
    does not answer, and ``manifests`` the SHA-256 of the manifest of each artifact, by the manifest's name.
    """

    system: str
    kind: str
    status: str
    reason: str = ""
    parameters: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    document_terms: float | None = None
    query_terms: float | None = None
    index_bytes: int | None = None
    queries: int | None = None
    queries_per_second: float | None = None
    run: str = ""
    run_sha256: str = ""
    weights: dict[str, str] | None = None
    spec: str = ""
    hub: str | None = None
    options: str = ""
    unanswered: list[str] = field(default_factory=list)
    manifests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A collection's rows. ``queries`` counts the judged ones, over which the means are taken.

    ``dataset`` is the collection's id if it is one of ir_datasets', ``judgments`` the checksum of its qrels.
    ``shown`` are the systems that the pages of README.md and docs/ show, none unless the options are the
    defaults.
    """

    collection: str
    queries: int
    measures: list[Measure]
    rows: list[Row]
    corpus: CorpusSummary
    dataset: str | None = None
    judgments: str = ""
    options: SystemOptions = SystemOptions()
    shown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The variant of the documents' text: ir_datasets repairs doubly encoded characters of MS MARCO."""
        if self.dataset is None:
            return "as in the folder"
        repaired = self.dataset.startswith("msmarco-passage")
        return "repaired by ir_datasets" if repaired else "as ir_datasets has it"

    @property
    def caption(self) -> str:
        """The line above the table."""
        return f"{self.collection}, {self.queries:,} judged queries"

    def of(self, rows: list[Row]) -> "Table":
        """Return the same table with these rows."""
        return replace(self, rows=rows)


def measure(of: SystemArtifacts, spec: str, qrels: Qrels, measures: Sequence[Measure]) -> Row:
    """Evaluate a system's run, read a query at a time, and gather the figures of its manifests.

    Whoever calls it has seen that all artifacts are current, and that they will stay.
    """
    unanswered = dict.fromkeys(qrels)
    results = track(read_queries(of.run.path), len(qrels), f"evaluating {of.system.name}", "queries")
    figures = evaluate(qrels, _struck_off(results, unanswered), measures)
    run = _manifest(of.run)
    index_bytes = None if of.engine.combines else _manifest(of.index)["bytes"]
    document_terms = query_terms = None
    if of.engine.encodes:
        document_terms, query_terms = _terms(of.documents), _terms(of.queries)
    return Row(
        system=of.system.name,
        kind=of.system.kind,
        status="measured",
        parameters=_parameters(of) or None,
        figures=figures.mean,
        intervals=intervals(figures),
        document_terms=document_terms,
        query_terms=query_terms,
        index_bytes=index_bytes,
        queries=len(qrels),
        queries_per_second=run["queries_per_second"],
        run=str(of.run.path),
        run_sha256=sha256_file(of.run.path),
        weights=of.weights.record() if of.weights else None,
        spec=spec,
        hub=of.system.hub,
        options=_changed_options(of),
        unanswered=list(unanswered),
        manifests=manifests(of),
    )


def not_run(system: System, spec: str, reason: str) -> Row:
    """Return the row of a system that could not be run: it has no figure."""
    return Row(system.name, system.kind, "not run", reason, spec=spec, hub=system.hub)


def manifests(of: SystemArtifacts) -> dict[str, str]:
    """Return the SHA-256 of the manifest of each artifact that there is, by the manifest's name."""
    paths = [artifact.manifest_path for artifact in of.chain()]
    return {path.name: sha256_file(path) for path in paths if path.is_file()}


def _struck_off(
    results: Iterator[tuple[str, dict[str, float]]], unanswered: dict[str, None]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield ``results``, each query's taken out of ``unanswered``."""
    for query, scores in results:
        unanswered.pop(query, None)
        yield query, scores


def _changed_options(of: SystemArtifacts) -> str:
    """Return the command line of those options that decide the figures and are not the defaults."""
    groups = [getattr(of.options, entry.name) for entry in fields(SystemOptions)]
    return shlex.join(arguments(*(group for group in groups if type(group) in option_groups(of.system))))


def as_records(table: Table) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, for JSON."""
    return [{f.name: getattr(row, f.name) for f in fields(Row)} for row in table.rows]


def as_csv(table: Table) -> str:
    """Return the rows as CSV, a column a measure."""
    import pandas

    def flat(record: dict[str, Any]) -> dict[str, Any]:
        figures, bounds, weights = (record.pop(name) for name in ("figures", "intervals", "weights"))
        del record["unanswered"], record["manifests"]
        low = {f"{measure} low": of[0] for measure, of in bounds.items()}
        high = {f"{measure} high": of[1] for measure, of in bounds.items()}
        return {**record, "weights": weights and weights["source"], **figures, **low, **high}

    return pandas.DataFrame.from_records([flat(record) for record in as_records(table)]).to_csv(index=False)


def _manifest(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest()
    if manifest is None:
        raise InputError(
            f"{artifact.path} has no manifest any more; run the same command again to make it anew"
        )
    return manifest


def _parameters(of: SystemArtifacts) -> int:
    """Return the number of parameters of all models that a run comes from."""
    made = of.documents if of.engine.encodes else of.run
    return _manifest(made).get("parameters", 0) + sum(map(_parameters, of.parts))


def _terms(encoded: Artifact) -> float:
    """Mean active terms of a text, or the dimensions of a dense vector.

    InputError if they were not counted.
    """
    match _manifest(encoded)["counts"]:
        case {"dimensions": int(dimensions)}:
            return dimensions
        case {"active_terms": int(terms), "texts": int(texts)} if texts:
            return terms / texts
    raise InputError(
        f"{encoded.manifest_path}: its counts cannot be read; make it anew (python -m repro.encode --force)"
    )
