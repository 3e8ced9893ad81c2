"""Build the index that a system searches, from the collection or from what it was encoded to."""

import contextlib
import time

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import folder_bytes
from repro.base.progress import note
from repro.cli.options import IndexingOptions, WorkOptions
from repro.engines.protocol import IndexRequest
from repro.pipeline.sources import held
from repro.postings.building import build_postings


def index(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions = IndexingOptions()) -> Artifact:
    """Build the index unless it is there, current and built as ``building`` asks; return it.

    InputError if the encoded documents that it needs are missing or outdated, or if the system has none.
    """
    if of.engine.combines:
        raise InputError(
            f"{of.system.name} has no index, it combines runs: index the systems that it is made of instead"
        )
    artifact, postings = of.index, of.postings if building.postings else None
    if building.postings and postings is None:
        raise InputError(f"--postings: the index of {of.system.name} is none of impacts")
    if _needed(of, work, building):
        with contextlib.ExitStack() as locks:
            if of.engine.encodes:
                locks.enter_context(held(of.documents, "repro.encode", of.system, work.wait))
            locks.enter_context(artifact.making(work.wait))
            if _needed(of, work, building):
                _build(of, work, building)
    if postings is not None and (work.force or not postings.is_current()):
        with held(artifact, "repro.index", of.system, work.wait), postings.making(work.wait):
            if work.force or not postings.is_current():
                _lay_out(artifact, postings)
    return artifact


def _lay_out(index: Artifact, postings: Artifact) -> None:
    folder, started = postings.begin(), time.perf_counter()
    counts = build_postings(index.path, folder)
    seconds, size = time.perf_counter() - started, folder_bytes(folder)
    postings.finish(folder, counts=counts, bytes=size, seconds=round(seconds, 3))
    note(f"{postings.path.name}: {counts['postings']:,} postings, {size / 1e6:,.1f} MB, {seconds:.1f} s")


def _build(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions) -> None:
    artifact = of.index
    if reason := artifact.why_unreadable():
        note(f"{artifact.path.name} {reason}: it is built anew")
    if of.postings is not None and of.postings.manifest_path.exists():
        with of.postings.making(work.wait):
            of.postings.disown()
    folder = artifact.begin()
    request = IndexRequest(
        count=of.corpus.documents,
        options=of.options,
        building=building,
        threads=work.threads,
        manifest={"inputs": artifact.inputs, "made": provenance()},
    )
    started = time.perf_counter()
    engine = of.index_engine
    if engine.encodes:
        counts = engine.build_index(of.documents.path, request, folder)
    else:
        counts = engine.build_index(of.collection.documents(), request, folder)
    seconds = time.perf_counter() - started
    size = folder_bytes(folder)
    built = engine.built(building)
    facts = {"counts": counts, "built": built, "written_by": engine.written_by()}
    artifact.finish(folder, **facts, bytes=size, seconds=round(seconds, 3))
    empty = f", {counts['empty']:,} without any term left out" if counts["empty"] else ""
    documents = f"{counts['documents']:,} documents{empty}"
    note(f"{artifact.path.name}: {documents}, {size / 1e6:,.1f} MB, {seconds:.1f} s")


def _needed(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions) -> bool:
    """Tell whether the index must be built: missing, outdated, or built otherwise than an option asks."""
    if work.force or not of.index.is_current():
        return True
    there, asked = (of.index.manifest() or {}).get("built", {}), of.index_engine.built(building)
    given = [name for name in asked if getattr(building, name) is not None]
    return any(there.get(name) != asked[name] for name in given)
