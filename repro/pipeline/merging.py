"""Searching several indexes with results as from one index of all their documents."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.engines.protocol import Results
from repro.formats.runs import docids_descend

EXACT = 2**24
"""Whole numbers up to this are floats of 32 bits. Of larger sums, searching an index returns floats that
keep the order of its own documents alone.
"""


def with_indexes(of: SystemArtifacts, paths: Sequence[Path]) -> SystemArtifacts:
    """Return a system's artifacts with these indexes to be searched in the place of its own.

    InputError if scores depend on what else is in an index (BM25, queries weighed by idf, graphs), if the
    system searches none, or if one is missing or of another kind.
    """
    name, engine = of.system.name, of.engine
    if engine.combines:
        raise InputError(f"--index: {name} combines runs; search for the systems that it is made of instead")
    if not engine.encodes or of.weighed_by_index:
        raise InputError(
            f"--index: scores of {name} depend on statistics of the whole index, so that those of several "
            "cannot be merged; index all documents together"
        )
    if of.system.indexed.kind == "dense" and of.options.dense.faiss == "hnsw":
        raise InputError("--index: what a graph finds depends on its other documents; take --faiss flat")
    if twice := next((path for path in paths if list(paths).count(path) > 1), None):
        raise InputError(f"--index: {twice} occurs twice; name each index once")
    return replace(of, given=tuple(_given(of, path) for path in paths))


def _given(of: SystemArtifacts, path: Path) -> Artifact:
    """Return an index that lies at ``path``; InputError if it is not whole, or none that the system takes."""
    own, system = of.index, of.system.indexed.name
    if not path.name.endswith(f".{system}"):
        raise InputError(
            f"--index {path}: not an index of {system}, whose name ends in .{system}; name indexes that "
            "python -m repro.index made for this system"
        )
    artifact = replace(own, path=path)
    manifest = artifact.manifest()
    if manifest is None:
        raise InputError(
            f"--index {path}: no whole index with its manifest lies there; make it with python -m repro.index"
        )
    fixed = {name: value for name, value in own.inputs.items() if name != "encoded"}
    others = {name: value for name, value in manifest["inputs"].items() if name != "encoded"}
    if others != fixed:
        raise InputError(
            f"--index {path}: an index of another kind ({_words(others)}); {of.system.name} searches "
            f"one with {_words(fixed)}"
        )
    return replace(artifact, inputs=manifest["inputs"])


def _words(inputs: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(inputs.items()))


def merge(indexes: Sequence[Path], searched: Sequence[Results], hits: int, ties: str) -> Results:
    """Yield (query id, the ``hits`` best of all indexes) from the results of each, query by query.

    Each index's results are its own best, whose scores do not depend on its other documents; so the best of
    all are among them, ties at the cut included. InputError if a document is in two indexes, or if impacts
    add up to more than 32-bit floats hold exactly.
    """
    descending = docids_descend(ties)
    for of_query in zip(*searched, strict=True):
        found: dict[str, float] = {}
        for _, results in of_query:
            if results.keys() & found.keys():
                raise InputError(_twice(indexes, of_query))
            found |= results
        if max(found.values(), default=0) > EXACT:
            raise InputError(
                f"--index: impacts add up to more than {EXACT:,}, which cannot be merged exactly; index all "
                "documents together, or encode with a smaller --scale"
            )
        best = sorted(sorted(found, reverse=descending), key=found.__getitem__, reverse=True)[:hits]
        yield of_query[0][0], {docid: found[docid] for docid in best}


def _twice(indexes: Sequence[Path], of_query: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Return the sentence on a document that two indexes hold."""
    first: dict[str, Path] = {}
    for path, (_, results) in zip(indexes, of_query):
        for docid in results:
            if docid in first:
                return f"--index: document {docid} is in {first[docid]} and in {path}; expected it in one"
            first[docid] = path
    raise AssertionError("no document is in two indexes")
