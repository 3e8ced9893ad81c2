"""An index of impacts in the Common Index File Format."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.export_options import LARGEST_BITS, CiffOptions
from repro.cli.options import WorkOptions
from repro.exporting.ciff_check import verify
from repro.exporting.narrowing import Impacts, Narrowing
from repro.formats.ciff import Header, PostingsList, write_ciff
from repro.pipeline.sources import held
from repro.report.resources import manifest_of

FORMAT = 1
COUNTED = 2**22
"""Impacts that are held at a time to be counted."""


@dataclass(frozen=True)
class Written:
    """What a file holds (documents, terms, postings), its size in bytes, and how impacts were narrowed."""

    counts: dict[str, int]
    bytes: int
    narrowing: Narrowing
    cost: dict[str, float]


def export_ciff(of: SystemArtifacts, options: CiffOptions, work: WorkOptions) -> Artifact:
    """Write the system's index, which must be current, unless that was done; return the file.

    InputError for a system without an index of impacts, or if that is missing, outdated, or, where this is to
    be verified, not what stands in the file.
    """
    if of.system.indexed.kind != "splade":
        raise InputError(f"--system {of.system.name}: only SPLADE systems have an index of impacts")
    narrow = {"bits": options.bits, "fit": options.fit} if options.bits else {}
    suffix = f".{options.bits}-bit-{options.fit}" if options.bits else ""
    path = work.work / "exports" / f"{of.collection.corpus}.{of.system.indexed.name}{suffix}.ciff"
    with contextlib.ExitStack() as locks:
        index = locks.enter_context(held(of.index, "repro.index", of.system, work.wait))
        inputs = {"stage": "export ciff", "format": FORMAT, "index": index.fingerprint, **narrow}
        file = Artifact(path, inputs, single_file=True, facts=("counts", "cost"))
        if work.force or not file.is_current():
            locks.enter_context(file.making(work.wait))
            if work.force or not file.is_current():
                _export(file, index.path, options)
        if options.verify:
            equal = verify(path, index.path, _narrowing(manifest_of(file)["cost"]["greatest"], options))
            counts = ", ".join(f"{count:,} {name}" for name, count in equal.items())
            note(f"{path.name}: read back: {counts}, equal to those of {index.path.name}")
    return file


def _export(file: Artifact, index: Path, options: CiffOptions) -> None:
    partial = file.begin()
    written = write_index(index, partial, options)
    file.finish(partial, counts=written.counts, bytes=written.bytes, cost=written.cost)
    counts = ", ".join(f"{count:,} {name}" for name, count in written.counts.items())
    note(f"{file.path.name}: {counts}, {written.bytes / 1e6:,.1f} MB")
    if options.bits:
        note(f"{options.bits} bits: {written.narrowing.sentence(written.cost)}")


def write_index(index: Path, path: Path, options: CiffOptions = CiffOptions()) -> Written:
    """Write the index of impacts in the folder ``index``, whoever built it, to ``path``.

    The index is read twice, since the sums in the header come first; one list of postings is held at a time.
    InputError if the folder is no Lucene index.
    """
    from repro.lucene.posting_lists import PostingsReader

    impacts = _impacts(index)
    narrowing = _narrowing(impacts.greatest, options)
    with PostingsReader(index) as reader, open(path, "wb") as stream:
        total = impacts.total(narrowing(impacts.values))
        header = Header(impacts.lists, reader.documents, total, f"impacts of {index.name}")
        lists = track(reader.lists(), impacts.lists, f"writing {index.name}", "terms")
        narrowed = (of_term._replace(impacts=narrowing(of_term.impacts)) for of_term in lists)
        write_ciff(stream, header, narrowed, reader.docids())
        size = stream.tell()
    counts = {
        "documents": header.documents,
        "terms": header.lists,
        "postings": int(impacts.times.sum()),
    }
    return Written(counts, size, narrowing, narrowing.cost(impacts))


def _narrowing(greatest: int, options: CiffOptions) -> Narrowing:
    limit = (1 << (options.bits or LARGEST_BITS)) - 1
    return Narrowing(greatest, limit, options.fit == "clamp")


def _impacts(index: Path) -> Impacts:
    """Return the impacts of all postings of an index."""
    from repro.lucene.posting_lists import PostingsReader

    with PostingsReader(index) as reader:
        return _count(reader.lists())


def _count(lists: Iterator[PostingsList]) -> Impacts:
    found, held, size = Impacts(), list[np.ndarray](), 0
    for of_term in lists:
        found.lists += 1
        held.append(of_term.impacts)
        size += len(of_term.impacts)
        if size >= COUNTED:
            found.add(np.concatenate(held))
            held, size = [], 0
    if held:
        found.add(np.concatenate(held))
    return found
