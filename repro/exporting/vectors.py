"""A system's vectors in the form that other engines take, a document at a time."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.export_options import VectorsOptions
from repro.cli.options import WorkOptions
from repro.collections.model import Document, Query
from repro.exporting.arrays import vocabulary, write_embeddings_arrays, write_impact_arrays
from repro.formats.embeddings import read_embeddings
from repro.formats.impact_vectors import read_vectors
from repro.pipeline.sources import held

FORMAT = 1
POINTS = 100
"""In one request to Qdrant."""
TAKES = {
    "seismic": ("splade",),
    "opensearch": ("splade", "dense"),
    "qdrant": ("splade", "dense"),
    "numpy": ("splade", "dense"),
    "anserini": ("dense",),
}
"""The kinds of systems whose vectors each format is for."""
DOCUMENTS = ("opensearch", "qdrant", "anserini")
"""Formats that are of documents only: the first two are requests to store them."""
FOLDERS = ("numpy", "anserini")
"""Formats that are a folder; the others are a file."""


class Record(NamedTuple):
    """A document or query: id, text, and impacts by term or the numbers of a dense vector."""

    id: str
    text: str
    vector: dict[str, int] | list[float]


def export_vectors(of: SystemArtifacts, options: VectorsOptions, work: WorkOptions) -> Artifact:
    """Write the system's encoded documents or queries, which must be current, unless that was done.

    Returns the file, for numpy the folder. InputError for a system or a part that the format has no place
    for.
    """
    _check(of, options)
    documents = options.part == "documents"
    with contextlib.ExitStack() as locks:
        encoded = of.documents if documents else of.queries
        command = "repro.encode" if documents else "repro.encode --only queries"
        locks.enter_context(held(encoded, command, of.system, work.wait))
        exported = Artifact(
            vectors_path(work.work, of.collection.corpus, encoded.path.name, options.format),
            {"stage": f"export {options.format}", "format": FORMAT, "encoded": encoded.fingerprint},
            single_file=options.format not in FOLDERS,
            facts=("counts",),
        )
        if not work.force and exported.is_current():
            return exported
        locks.enter_context(exported.making(work.wait))
        if work.force or not exported.is_current():
            _export(of, options, encoded, exported)
    return exported


def vectors_path(work: Path, corpus: str, encoded: str, form: str) -> Path:
    """Return where an export in the format ``form`` lies; ``encoded`` is the name of what it is made from."""
    return work / "exports" / (f"{corpus}.{encoded}.{form}" + ("" if form in FOLDERS else ".jsonl"))


def _check(of: SystemArtifacts, options: VectorsOptions) -> None:
    if of.engine.combines or not of.engine.encodes:
        raise InputError(f"--system {of.system.name}: it encodes nothing, so there are no vectors")
    if of.system.indexed.kind not in TAKES[options.format]:
        raise InputError(
            f"--format {options.format} is for {' and '.join(TAKES[options.format])} systems, and "
            f"{of.system.name} is {of.system.kind}"
        )
    if options.part == "queries" and options.format in DOCUMENTS:
        raise InputError(
            f"--part queries: --format {options.format} is for documents; take the queries' vectors in "
            "--format seismic or numpy"
        )


def _export(of: SystemArtifacts, options: VectorsOptions, encoded: Artifact, exported: Artifact) -> None:
    counts = (encoded.manifest() or {})["counts"]
    texts, unit = counts["texts"], options.part
    partial = exported.begin()
    if options.format == "numpy" and of.system.kind == "dense":
        write_embeddings_arrays(encoded.path, partial, texts, counts["dimensions"])
    elif options.format == "numpy":
        vectors = track(read_vectors(encoded.path), texts, f"writing {exported.path.name}", unit)
        write_impact_arrays(vectors, partial, texts, counts["postings"], vocabulary(of))
    else:
        records = track(
            _records(of, encoded.path, options.part), texts, f"writing {exported.path.name}", unit
        )
        path = partial / "part-00000.jsonl" if options.format in FOLDERS else partial
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            _writer(of, options.format)(file, records)
    exported.finish(partial, system=of.system.name, counts=counts, weights=of.weights and of.weights.record())
    note(f"{exported.path.name}: {texts:,} {unit}")


def _records(of: SystemArtifacts, encoded: Path, part: str) -> Iterator[Record]:
    """Yield what was encoded, in the collection's order; embeddings get their texts from there."""
    if of.system.kind != "dense":
        yield from (Record(*vector) for vector in read_vectors(encoded))
        return
    rows = ((docid, row) for ids, rows in read_embeddings(encoded) for docid, row in zip(ids, rows))
    texts: Iterable[Document | Query] = of.collection.documents() if part == "documents" else of.topics
    for text, (docid, row) in zip(texts, rows, strict=True):
        yield Record(docid, text.text, row.tolist())


Writer = Callable[[IO[str], Iterable[Record]], None]


def _writer(of: SystemArtifacts, form: str) -> Writer:
    if form == "qdrant":
        ids = vocabulary(of) if of.system.kind != "dense" else {}
        return lambda file, records: write_qdrant(file, records, ids)
    return {"seismic": write_seismic, "opensearch": write_opensearch, "anserini": write_anserini}[form]


def write_anserini(file: IO[str], records: Iterable[Record]) -> None:
    """Write the lines that Anserini's ``JsonDenseVectorCollection`` reads."""
    for record in records:
        _line(file, {"docid": record.id, "vector": record.vector})


def write_seismic(file: IO[str], records: Iterable[Record]) -> None:
    """Write the lines that ``seismic.SeismicIndex.build`` reads."""
    for record in records:
        _line(file, {"id": record.id, "content": record.text, "vector": record.vector})


def write_opensearch(file: IO[str], records: Iterable[Record]) -> None:
    """Write bulk requests: for each record a line with the action and one with the document.

    Terms are features of a ``rank_features`` field, whose names may hold no dot: it becomes two underscores,
    as in Elasticsearch's own sparse models. InputError if another term of the document has that name.
    """
    for record in records:
        vector = record.vector
        if isinstance(vector, dict):
            vector = {term.replace(".", "__"): impact for term, impact in vector.items()}
            if len(vector) != len(record.vector):
                raise InputError(
                    f"document {record.id}: two of its terms have one name where '.' is written '__'; "
                    "OpenSearch takes no dot in the name of a feature"
                )
        _line(file, {"index": {"_id": record.id}})
        _line(file, {"passage_text": record.text, "passage_embedding": vector})


def write_qdrant(file: IO[str], records: Iterable[Record], ids: dict[str, int]) -> None:
    """Write bodies of requests that upsert points, one a line.

    A point's id is its number, from 0 up, since Qdrant's ids are numbers; document id and text are its
    payload. The indices of a sparse vector are the ids of its terms in the model's vocabulary.
    """
    points = (_point(number, record, ids) for number, record in enumerate(records))
    while batch := list(itertools.islice(points, POINTS)):
        _line(file, {"points": batch})


def _point(number: int, record: Record, ids: dict[str, int]) -> dict[str, Any]:
    vector: dict[str, Any]
    if isinstance(record.vector, dict):
        entries = sorted((ids[term], impact) for term, impact in record.vector.items())
        indices, values = [index for index, _ in entries], [impact for _, impact in entries]
        vector = {"sparse": {"indices": indices, "values": values}}
    else:
        vector = {"dense": record.vector}
    return {"id": number, "vector": vector, "payload": {"docid": record.id, "text": record.text}}


def _line(file: IO[str], value: dict[str, Any]) -> None:
    file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
