"""A collection cut down to given documents and queries, written as a folder in BEIR's layout."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import file_name
from repro.base.progress import note, track
from repro.base.records import numbered_lines
from repro.cli.options import CollectionOptions, SubsetOptions
from repro.collections.model import Document, Qrels, Query, check_id, clean
from repro.collections.opening import DEFAULT_SPLIT, open_collection
from repro.collections.subsets import (
    Part,
    Subset,
    qrels_checksum,
    read_ids,
    read_subset,
    texts_checksum,
)

FORMAT = 1
SHOWN = 5
"""Missing ids that a message names."""


def make_subset(where: CollectionOptions, options: SubsetOptions) -> Path:
    """Write the folder that the options ask for below --work, and return it.

    InputError for a document that the collection does not have; and, once the folder is there, if the
    documents are not what a recipe expects.
    """
    subset = _shipped(options.recipe, options) if options.recipe else _asked_for(where, options)
    inputs: dict[str, Any] = {
        "stage": "subset",
        "format": FORMAT,
        "collection": [subset.collection, subset.split],
        "texts": _state(options.texts)
        if options.texts
        else open_collection(subset.collection, subset.split).source.state(),
        "documents": texts_checksum((identifier, "") for identifier in subset.documents),
        "splits": {
            name: [part.collection, part.split, part.queries and sorted(part.queries)]
            for name, part in subset.parts.items()
        },
    }
    artifact = Artifact(options.work / "subset" / file_name(subset.name), inputs)
    with artifact.making():
        if not artifact.is_current():
            folder = artifact.begin()
            artifact.finish(folder, **_write(subset, options.texts, folder))
        manifest = artifact.manifest() or {}
    _compare(artifact.path, subset, manifest["sha256"])
    return artifact.path


def _shipped(recipe: str, options: SubsetOptions) -> Subset:
    if options.documents or options.queries or options.name:
        raise InputError(f"--recipe {recipe} brings its own --documents, --queries and --name")
    return read_subset(recipe)


def _asked_for(where: CollectionOptions, options: SubsetOptions) -> Subset:
    if options.documents is None:
        raise InputError("give --documents, a file of document ids, or --recipe, the name of a subset")
    queries = read_ids(options.queries) if options.queries else None
    split = where.split or DEFAULT_SPLIT
    name = options.name or f"{Path(where.collection).name}-subset"
    parts = {split: Part(where.collection, where.split, queries)}
    return Subset(name, where.collection, where.split, read_ids(options.documents), parts)


def _write(subset: Subset, texts: Path | None, folder: Path) -> dict[str, Any]:
    """Write the folder; return the manifest's counts and checksums."""
    documents = list(_documents(subset, texts))
    if missing := sorted(subset.documents - {document.id for document in documents}):
        named = ", ".join(missing[:SHOWN])
        raise InputError(
            f"{texts or subset.collection} lacks {len(missing):,} of {len(subset.documents):,} documents "
            f"({named}{' ...' if len(missing) > SHOWN else ''}); are the ids those of this collection?"
        )
    _write_records(folder / "corpus.jsonl", ({"_id": d.id, "title": "", "text": d.text} for d in documents))
    found = {name: _cut(part, subset.documents) for name, part in subset.parts.items()}
    queries = {query.id: query.text for kept, _ in found.values() for query in kept}
    _write_records(folder / "queries.jsonl", ({"_id": q, "text": text} for q, text in queries.items()))
    for name, (_, qrels) in found.items():
        _write_qrels(folder / "qrels" / f"{name}.tsv", qrels)
    return {
        "counts": {
            "documents": len(documents),
            "queries": {name: len(kept) for name, (kept, _) in found.items()},
        },
        "sha256": {
            "documents": texts_checksum(documents),
            **{
                name: {"queries": texts_checksum(kept), "qrels": qrels_checksum(qrels)}
                for name, (kept, qrels) in found.items()
            },
        },
    }


def _documents(subset: Subset, texts: Path | None) -> Iterator[Document]:
    """Yield the subset's documents, in the collection's order."""
    every = _tsv(texts) if texts else open_collection(subset.collection, subset.split).documents()
    for document in track(every, None, f"reading {texts or subset.collection}", "documents"):
        if document.id in subset.documents:
            yield document


def _state(texts: Path) -> dict[str, str | int]:
    if not texts.is_file():
        raise InputError(f"--texts {texts}: there is no such file; expected lines of document id, tab, text")
    status = texts.stat()
    return {"file": str(texts.resolve()), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _tsv(path: Path) -> Iterator[Document]:
    for number, line in numbered_lines(path):
        identifier, tab, text = line.partition("\t")
        if not tab:
            raise InputError(f"{path}, line {number}: expected document id, tab, text")
        yield Document(check_id(identifier, f"{path}, line {number}"), clean(text))


def _cut(part: Part, documents: frozenset[str]) -> tuple[list[Query], Qrels]:
    """Return a split's queries and judgments: those asked for; else those with a relevant document left."""
    collection = open_collection(part.collection, part.split)
    qrels = {}
    for query, judged in collection.qrels().items():
        left = {document: grade for document, grade in judged.items() if document in documents}
        if (query in part.queries) if part.queries is not None else max(left.values(), default=0) > 0:
            qrels[query] = left
    if part.queries is not None and (missing := sorted(part.queries - qrels.keys())):
        raise InputError(
            f"{part.collection} has no judgment of {len(missing):,} of {len(part.queries):,} queries "
            f"({', '.join(missing[:SHOWN])}{' ...' if len(missing) > SHOWN else ''}); are the ids those of "
            "this collection?"
        )
    qrels = {query: judged for query, judged in qrels.items() if judged}
    if not qrels:
        raise InputError(f"no query of {part.collection} has a judged document among those asked for")
    return [query for query in collection.queries() if query.id in qrels], qrels


def _write_records(path: Path, records: Iterable[Mapping[str, str]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def _write_qrels(path: Path, qrels: Qrels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{q}\t{d}\t{grade}\n" for q, judged in qrels.items() for d, grade in judged.items()]
    path.write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")


def _compare(path: Path, subset: Subset, found: dict[str, Any]) -> None:
    """Tell which variant of the text came out; InputError if it is none of those that are expected."""
    for name, part in subset.parts.items():
        for kind, expected in (part.sha256 or {}).items():
            if found[name][kind] != expected:
                note(f"warning: {path}: the {kind} of {name} are not those that {subset.name} is known by")
    if subset.sha256 is None:
        return
    variants = [variant for variant, expected in subset.sha256.items() if found["documents"] == expected]
    if not variants:
        raise InputError(
            f"{path}: its documents are not those that {subset.name} is known by (SHA-256 "
            f"{found['documents'][:12]}..., expected {' or '.join(subset.sha256)} text); figures on it "
            "cannot be compared with this project's"
        )
    note(f"{path}: the documents are as expected ({variants[0]} text)")
