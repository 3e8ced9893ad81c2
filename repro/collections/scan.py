"""One pass over a corpus before any long work: every record read, ids unique, counts, a content checksum.

The result is kept in ``<work>/collections/<corpus>/`` and reused as long as the source's state stays the
same. Ids are kept as 64-bit hashes, 8 bytes a document (71 MB for MS MARCO's 8.84 million).
"""

import array
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from repro.base.errors import InputError
from repro.base.files import read_json, write_array, write_json
from repro.base.locks import locked
from repro.base.progress import note, track
from repro.collections.model import Collection, Qrels


@dataclass(frozen=True)
class CorpusSummary:
    """What a scan found. ``sha256`` is over every id and text, in order; ``empty`` documents have no text."""

    documents: int
    empty: int
    sha256: str


def known_summary(collection: Collection, work: Path) -> CorpusSummary | None:
    """Return the summary of a corpus that was read through before and has not changed; None else."""
    folder = _folder(collection, work)
    known = read_json(folder / "summary.json")
    if known is None or known.get("state") != collection.source.state():
        return None
    try:
        summary = CorpusSummary(**known["summary"])
        ids = _load_ids(folder)
    except (KeyError, TypeError, ValueError, EOFError, OSError):  # not written here, or damaged
        return None
    return summary if ids.shape == (summary.documents,) and ids.dtype == np.uint64 else None


def scan_corpus(collection: Collection, work: Path, wait: bool = True) -> CorpusSummary:
    """Return the summary of the corpus, from a new pass only if the source changed since the last one.

    One process reads a corpus at a time; without ``wait``, InputError if another one does. InputError for a
    bad record, an id that occurs twice, or a corpus without documents.
    """
    if (known := known_summary(collection, work)) is not None:
        return known
    folder = _folder(collection, work)
    with locked(folder.with_name(f"{folder.name}.lock"), wait=wait):
        return known_summary(collection, work) or _scan(collection, folder)


def _scan(collection: Collection, folder: Path) -> CorpusSummary:
    state = collection.source.state()
    summary, ids = read_through(collection)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").unlink(missing_ok=True)  # killed from here on, nothing vouches for the ids
    write_array(folder / "ids.npy.tmp", ids)
    os.replace(folder / "ids.npy.tmp", folder / "ids.npy")
    write_json(folder / "summary.json", {"state": state, "summary": asdict(summary)})
    if summary.empty:
        note(f"{collection.corpus}: {summary.empty:,} of {len(ids):,} documents have no text")
    return summary


def read_through(collection: Collection) -> tuple[CorpusSummary, np.ndarray]:
    """Return the summary of a corpus and the sorted hashes of its ids, from a pass over it that leaves
    nothing; the errors are ``scan_corpus``'s.
    """
    digest, hashes, empty = hashlib.sha256(), array.array("Q"), 0
    for document in track(collection.documents(), None, f"reading {collection.corpus}", "documents"):
        digest.update(f"{document.id}\0{document.text}\n".encode())
        hashes.append(_hash(document.id))
        empty += not document.text
    if not hashes:
        raise InputError(f"the corpus of {collection.name} is empty; expected at least one document")
    ids = np.sort(np.frombuffer(hashes, dtype=np.uint64))
    _refuse_duplicates(collection, set(ids[1:][ids[1:] == ids[:-1]].tolist()))
    return CorpusSummary(len(ids), empty, digest.hexdigest()), ids


def warn_of_unknown(collection: Collection, qrels: Qrels, work: Path) -> tuple[int, int]:
    """Count, and warn of, judged documents not in the corpus and judged queries that have no text."""
    ids = _load_ids(_folder(collection, work))
    judged = {document for judgments in qrels.values() for document in judgments}
    hashes = np.array([_hash(document) for document in judged], dtype=np.uint64)
    position = np.minimum(np.searchsorted(ids, hashes), len(ids) - 1)
    documents = int((ids[position] != hashes).sum())
    queries = len(qrels.keys() - {query.id for query in collection.queries()})
    if documents:
        note(f"warning: {collection.name}'s qrels name {documents:,} documents that are not in the corpus")
    if queries:
        note(
            f"warning: {collection.name}'s qrels name {queries:,} queries that have no text; each counts as 0"
        )
    return documents, queries


def _folder(collection: Collection, work: Path) -> Path:
    return work / "collections" / collection.corpus


def _load_ids(folder: Path) -> np.ndarray:
    """Return the sorted hashes of all ids, mapped from the disk."""
    return np.load(folder / "ids.npy", mmap_mode="r")


def _hash(identifier: str) -> int:
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest(), "little")


def _refuse_duplicates(collection: Collection, suspects: set[int]) -> None:
    """Read again only when two hashes were equal, and name the first id that really occurs twice."""
    if not suspects:
        return
    seen: dict[str, int] = {}
    for number, document in enumerate(collection.documents(), 1):
        if _hash(document.id) in suspects:
            if document.id in seen:
                raise InputError(
                    f"the corpus of {collection.name} has the document id {document.id!r} twice, "
                    f"as records {seen[document.id]:,} and {number:,}; ids must be unique"
                )
            seen[document.id] = number
