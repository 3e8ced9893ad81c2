"""What a system's row says beside its effectiveness: size, terms, speed, energy, from the manifests of the
artifacts that the run was made from; of each figure that is not known, why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.energy import UNRECORDED, Energy, add
from repro.base.errors import InputError
from repro.base.progress import track
from repro.evaluation.flops import expected_flops
from repro.formats.impact_vectors import read_vectors, strongest

COMBINES = "it combines the runs of other systems"
NOT_ENCODED = "it encodes nothing"
NOTHING_ENCODED = (COMBINES, NOT_ENCODED)
NOT_TIMED = "it took less than a millisecond, or was not timed"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The figures; ``unknown`` has the reason why one is None, by its name.

    ``parameters`` counts the model's; ``document_terms`` and ``query_terms`` are mean numbers of non-zero
    terms, or a dense model's dimensions; ``flops`` is the expected number of products for a query and a
    document (``evaluation.flops``), of the impacts that are searched; ``index_bytes`` is the size of the
    index on disk, with its postings if these were searched. Rates are a second's: documents encoded, queries
    searched, and queries encoded and searched. Joules are the machine's while documents were encoded, and
    queries encoded and searched.
    """

    parameters: int | None = None
    document_terms: float | None = None
    query_terms: float | None = None
    flops: float | None = None
    index_bytes: int | None = None
    documents_per_second: float | None = None
    queries_per_second: float | None = None
    queries_per_second_with_encoding: float | None = None
    joules_per_document: float | None = None
    joules_per_query: float | None = None
    unknown: dict[str, str] = field(default_factory=dict)


def resources(of: SystemArtifacts, flops: bool) -> Resources:
    """Gather the figures of a system; with ``flops``, the encoded texts are read for their terms.

    Whoever calls it has seen that all artifacts are current, and that they will stay.
    """
    run = manifest_of(of.run)
    found: dict[str, Any] = {"unknown": {}, "queries_per_second": run["queries_per_second"]}
    _set_size(found, of)
    _set_encoded(found, of, flops)
    queries = _counted(of.run, "queries")
    both = _rate(queries, _seconds(of)) if _encodes(of) else found["queries_per_second"]
    _set(found, "queries_per_second_with_encoding", both, NOT_TIMED)
    _set_energy(found, "joules_per_query", _energy(of), queries)
    return Resources(**found)


def manifest_of(artifact: Artifact) -> dict[str, Any]:
    """Return the manifest of what a row is measured from; InputError if it has gone meanwhile."""
    manifest = artifact.manifest()
    if manifest is None:
        raise InputError(
            f"{artifact.path} has no manifest any more; run the same command again to make it anew"
        )
    return manifest


def _set_size(found: dict[str, Any], of: SystemArtifacts) -> None:
    _set(found, "parameters", _parameters(of) or None, "there is no model")
    if of.engine.combines:
        _set(found, "index_bytes", None, COMBINES)
    else:
        found["index_bytes"] = manifest_of(of.index)["bytes"] + manifest_of(of.run).get("postings_bytes", 0)


def _set_encoded(found: dict[str, Any], of: SystemArtifacts, flops: bool) -> None:
    """Set what follows from the encoded texts."""
    if not of.engine.encodes:
        for name in ("document_terms", "query_terms", "flops", "documents_per_second", "joules_per_document"):
            _set(found, name, None, COMBINES if of.engine.combines else NOT_ENCODED)
        return
    documents, texts = manifest_of(of.documents), _counted(of.documents, "texts")
    found |= {"document_terms": _terms(of.documents), "query_terms": _terms(of.queries)}
    _set(found, "flops", _flops(of) if flops else None, "not counted; --columns flops does")
    _set(found, "documents_per_second", _rate(texts, documents.get("seconds")), NOT_TIMED)
    _set_energy(found, "joules_per_document", documents.get("energy", UNRECORDED), texts)


def _set(found: dict[str, Any], name: str, value: float | None, reason: str) -> None:
    """Set a figure, or, if it is None, the reason why it is not known."""
    if value is None:
        found["unknown"][name] = reason
    else:
        found[name] = value


def _rate(count: int, seconds: float | None) -> float | None:
    return count / seconds if seconds else None


def _set_energy(found: dict[str, Any], name: str, energy: Energy, texts: int) -> None:
    joules = float(energy["joules"]) / texts if "joules" in energy else None
    _set(found, name, joules, str(energy.get("unread")))


def _parameters(of: SystemArtifacts) -> int:
    """Return the number of parameters of all models that a run comes from."""
    made = of.documents if of.engine.encodes else of.run
    return manifest_of(made).get("parameters", 0) + sum(map(_parameters, of.parts))


def _terms(encoded: Artifact) -> float:
    """Return the mean active terms of a text, or the dimensions of a dense vector."""
    if "dimensions" in manifest_of(encoded)["counts"]:
        return _counted(encoded, "dimensions")
    return _counted(encoded, "active_terms", 0) / _counted(encoded, "texts")


def _counted(artifact: Artifact, name: str, least: int = 1) -> int:
    """Return what a manifest has counted; InputError if it has not, or less than ``least``."""
    match manifest_of(artifact)["counts"].get(name):
        case int(count) if count >= least:
            return count
    raise InputError(
        f"{artifact.manifest_path}: its counts cannot be read; make it anew (its stage's command, --force)"
    )


def _flops(of: SystemArtifacts) -> float:
    """Return the expected products of the impacts that are searched; of dense vectors, all dimensions."""
    if "dimensions" in manifest_of(of.documents)["counts"]:
        return _counted(of.documents, "dimensions")
    kept = of.options.search.max_query_terms
    queries = (strongest(query.vector, kept) for query in read_vectors(of.queries.path))
    documents = read_vectors(of.documents.path)
    counted = track(documents, _counted(of.documents, "texts"), f"terms of {of.system.name}", "documents")
    return expected_flops(queries, (document.vector for document in counted))


def _query_artifacts(of: SystemArtifacts) -> Iterator[Artifact]:
    """Yield all that takes time or energy for each query: encoded queries, the run, and both of the parts."""
    for part in of.parts:
        yield from _query_artifacts(part)
    if of.engine.encodes:
        yield of.queries
    yield of.run


def _encodes(of: SystemArtifacts) -> bool:
    return of.engine.encodes or any(map(_encodes, of.parts))


def _seconds(of: SystemArtifacts) -> float | None:
    """Return how long the queries took, encoding included; None if it was not timed."""
    total = 0.0
    for artifact in _query_artifacts(of):
        if (seconds := manifest_of(artifact).get("seconds")) is None:
            return None
        total += seconds
    return total


def _energy(of: SystemArtifacts) -> Energy:
    """Return the energy that the queries took, encoding included."""
    total: Energy = {"joules": 0.0}
    for artifact in _query_artifacts(of):
        total = add(total, manifest_of(artifact).get("energy", UNRECORDED))
    return total
