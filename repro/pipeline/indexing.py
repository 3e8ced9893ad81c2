"""Build the index that a system searches, from the collection or from what it was encoded to."""

import contextlib
import time
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import folder_bytes
from repro.base.progress import note
from repro.cli.options import IndexingOptions, WorkOptions
from repro.engines.protocol import EncodingEngine, IndexRequest, TextEngine
from repro.pipeline.sources import held
from repro.postings.building import build_postings


def index(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions = IndexingOptions()) -> Artifact:
    """Build the index unless it is there, current and built as ``building`` asks; return it.

    InputError if the encoded documents that it needs are missing or outdated, or if the system has none.
    """
    check_asked(of, building)
    artifact = of.index
    if needed(of, work, building):
        with contextlib.ExitStack() as locks:
            if of.engine.encodes:
                locks.enter_context(held(of.documents, "repro.encode", of.system, work.wait))
            locks.enter_context(artifact.making(work.wait))
            if needed(of, work, building):
                _build(of, work, building)
    lay_out(of, work, building)
    return artifact


def check_asked(of: SystemArtifacts, building: IndexingOptions) -> TextEngine | EncodingEngine:
    """Return the engine of a system's index; InputError if it has none, or not what ``building`` asks."""
    if of.engine.combines:
        raise InputError(
            f"{of.system.name} has no index, it combines runs: index the systems that it is made of instead"
        )
    if building.postings and of.postings is None:
        raise InputError(f"--postings: the index of {of.system.name} is none of impacts")
    return of.index_engine


def needed(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions) -> bool:
    """Tell whether the index must be built: missing, outdated, or built otherwise than an option asks."""
    if work.force or not of.index.is_current():
        return True
    there, asked = (of.index.manifest() or {}).get("built", {}), of.index_engine.built(building)
    given = [name for name in asked if getattr(building, name) is not None]
    return any(there.get(name) != asked[name] for name in given)


def request(
    of: SystemArtifacts, work: WorkOptions, building: IndexingOptions, artifact: Artifact, count: int
) -> IndexRequest:
    """Return what is asked of an engine that builds ``artifact``, of ``count`` documents."""
    manifest = {"inputs": artifact.inputs, "made": provenance()}
    return IndexRequest(count, of.options, building, work.threads, manifest)


def put_in_place(
    of: SystemArtifacts,
    artifact: Artifact,
    folder: Path,
    started: float,
    counts: dict[str, int],
    **facts: Any,
) -> None:
    """Put an index, or a share of it, in its place; tell its ``counts``, and the time since ``started``."""
    seconds, size = time.perf_counter() - started, folder_bytes(folder)
    written_by = of.index_engine.written_by()
    artifact.finish(
        folder, counts=counts, **facts, written_by=written_by, bytes=size, seconds=round(seconds, 3)
    )
    empty = f", {counts['empty']:,} without any term left out" if counts["empty"] else ""
    documents = f"{counts['documents']:,} documents{empty}"
    note(f"{artifact.path.name}: {documents}, {size / 1e6:,.1f} MB, {seconds:.1f} s")


def begin_anew(of: SystemArtifacts, work: WorkOptions) -> Path:
    """Return where the index, which this process is making, is to be written; its postings are disowned.

    Tell why one that is about to be replaced could not be read, if that is so.
    """
    if reason := of.index.why_unreadable():
        note(f"{of.index.path.name} {reason}: it is built anew")
    if of.postings is not None and of.postings.manifest_path.exists():
        with of.postings.making(work.wait):
            of.postings.disown()
    return of.index.begin()


def lay_out(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions) -> None:
    """Lay the index's postings out, if ``building`` asks for them and they are missing or outdated."""
    postings = of.postings
    if building.postings and postings is not None and (work.force or not postings.is_current()):
        with held(of.index, "repro.index", of.system, work.wait), postings.making(work.wait):
            if work.force or not postings.is_current():
                _lay_out(of.index, postings)


def _lay_out(index: Artifact, postings: Artifact) -> None:
    folder, started = postings.begin(), time.perf_counter()
    counts = build_postings(index.path, folder)
    seconds, size = time.perf_counter() - started, folder_bytes(folder)
    postings.finish(folder, counts=counts, bytes=size, seconds=round(seconds, 3))
    note(f"{postings.path.name}: {counts['postings']:,} postings, {size / 1e6:,.1f} MB, {seconds:.1f} s")


def _build(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions) -> None:
    artifact, engine = of.index, of.index_engine
    folder = begin_anew(of, work)
    asked = request(of, work, building, artifact, of.corpus.documents)
    started = time.perf_counter()
    if engine.encodes:
        counts = engine.build_index(of.documents.path, asked, folder)
    else:
        counts = engine.build_index(of.collection.documents(), asked, folder)
    put_in_place(of, artifact, folder, started, counts, built=engine.built(building))
