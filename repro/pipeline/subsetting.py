"""A collection cut down to given documents and queries, written as a folder in BEIR's layout."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import file_name
from repro.base.progress import note, track
from repro.base.records import numbered_lines
from repro.cli.options import CollectionOptions
from repro.cli.part_options import SubsetOptions
from repro.collections.beir import file_state, write_qrels, write_records
from repro.collections.model import Document, Qrels, Query, Source, State, check_id, clean
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


class TsvTexts:
    """Documents in a file of lines of id, tab, text, as MS MARCO's ``collection.tsv``.

    InputError if there is no such file, or for a line that is none of these.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(
                f"--texts {path}: there is no such file; expected lines of document id, tab, text"
            )

    def state(self) -> State:
        """Return the file's state."""
        return file_state(self.path)

    def documents(self) -> Iterator[Document]:
        """Stream the documents."""
        for number, line in numbered_lines(self.path):
            identifier, tab, text = line.partition("\t")
            if not tab:
                raise InputError(f"{self.path}, line {number}: expected document id, tab, text")
            yield Document(check_id(identifier, f"{self.path}, line {number}"), clean(text))


def make_subset(where: CollectionOptions, options: SubsetOptions) -> Path:
    """Write the folder that the options ask for below --work, and return it.

    InputError for a document that the collection does not have; and, once the folder is there, if the
    documents are not what a recipe expects.
    """
    subset = _shipped(options.recipe, options) if options.recipe else _asked_for(where, options)
    opened = open_collection(subset.collection, subset.split)
    source = TsvTexts(options.texts) if options.texts else opened.source
    splits = {name: _cut(part, subset.documents) for name, part in subset.parts.items()}
    checksums = {
        name: {"queries": texts_checksum(queries), "qrels": qrels_checksum(qrels)}
        for name, (queries, qrels) in splits.items()
    }
    inputs: dict[str, Any] = {
        "stage": "subset",
        "format": FORMAT,
        "collection": [subset.collection, subset.split],
        "texts": source.state(),
        "documents": texts_checksum((identifier, "") for identifier in subset.documents),
        "splits": checksums,
    }
    artifact = Artifact(options.work / "subset" / file_name(subset.name), inputs, facts=("sha256",))
    with artifact.making():
        manifest = artifact.manifest() if artifact.is_current() else None
        if manifest is None:
            documents = list(_documents(subset, source, str(options.texts or subset.collection)))
            folder = artifact.begin()
            _write(folder, documents, splits)
            counts = {"documents": len(documents), **{name: len(of) for name, (of, _) in splits.items()}}
            manifest = artifact.finish(folder, counts=counts, sha256=texts_checksum(documents))
    _compare(artifact.path, subset, manifest["sha256"], checksums)
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


def _documents(subset: Subset, source: Source | TsvTexts, name: str) -> Iterator[Document]:
    """Yield the subset's documents, in the source's order; InputError if one is missing."""
    missing = set(subset.documents)
    for document in track(source.documents(), None, f"reading {name}", "documents"):
        if document.id in subset.documents:
            missing.discard(document.id)
            yield document
    if missing:
        raise InputError(
            f"{name} lacks {len(missing):,} of {len(subset.documents):,} documents ({_some(missing)}); are "
            "the ids those of this collection?"
        )


def _write(folder: Path, documents: list[Document], splits: Mapping[str, tuple[list[Query], Qrels]]) -> None:
    write_records(folder / "corpus.jsonl", ({"_id": d.id, "title": "", "text": d.text} for d in documents))
    queries = {query.id: query.text for kept, _ in splits.values() for query in kept}
    write_records(folder / "queries.jsonl", ({"_id": q, "text": text} for q, text in queries.items()))
    for name, (_, qrels) in splits.items():
        write_qrels(folder / "qrels" / f"{name}.tsv", qrels)


def _cut(part: Part, documents: frozenset[str]) -> tuple[list[Query], Qrels]:
    """Return a split's queries and judgments: those asked for; else those with a relevant document left."""
    collection = open_collection(part.collection, part.split)
    qrels = {}
    for query, judged in collection.qrels().items():
        left = {document: grade for document, grade in judged.items() if document in documents}
        if (query in part.queries) if part.queries is not None else max(left.values(), default=0) > 0:
            qrels[query] = left
    if part.queries is not None and (missing := part.queries - qrels.keys()):
        raise InputError(
            f"{part.collection} has no judgment of {len(missing):,} of {len(part.queries):,} queries "
            f"({_some(missing)}); are the ids those of this collection?"
        )
    qrels = {query: judged for query, judged in qrels.items() if judged}
    if not qrels:
        raise InputError(f"no query of {part.collection} has a judged document among those asked for")
    return [query for query in collection.queries() if query.id in qrels], qrels


def _some(ids: Set[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN]) + (" ..." if len(ids) > SHOWN else "")


def _compare(path: Path, subset: Subset, documents: str, splits: Mapping[str, Mapping[str, str]]) -> None:
    """Tell which variant of the text came out; InputError if it is none of those that are expected."""
    for name, part in subset.parts.items():
        for kind, expected in (part.sha256 or {}).items():
            if splits[name][kind] != expected:
                note(f"warning: {path}: the {kind} of {name} are not those that {subset.name} is known by")
    if subset.sha256 is None:
        return
    variants = [variant for variant, expected in subset.sha256.items() if documents == expected]
    if not variants:
        raise InputError(
            f"{path}: its documents are not those that {subset.name} is known by (SHA-256 "
            f"{documents[:12]}..., expected {' or '.join(subset.sha256)} text); figures on it cannot be "
            "compared with this project's"
        )
    note(f"{path}: the documents are as expected ({variants[0]} text)")
