"""Build Lucene indexes: BM25 with Anserini's own indexer, impacts over JSON vectors with this project's.

Both indexers leave out documents without any term, which could never be found; they are counted as empty.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import folder_bytes, remove
from repro.base.progress import bar
from repro.collections.model import Document
from repro.formats.impact_vectors import shard_paths
from repro.lucene.errors import java_error, opening
from repro.lucene.java import start_jvm
from repro.lucene.reader import open_reader

BUFFER_SHARE = 1 / 4
"""The indexer's buffer is this fraction of the JVM's heap; sorting, merging and reading take of the rest."""


@dataclass(frozen=True)
class Indexing:
    """Settings of an indexer; none of them changes what a search finds."""

    threads: int
    memory: int = 2048
    """The JVM's heap, in MB."""
    store_raw: bool = False
    """Keep each record in the stored field ``raw``, for display."""
    merge: bool = True
    """End with a single segment: the same size and speed each time."""


def build_impact_index(
    vectors: Path, index: Path, documents: int, settings: Indexing, manifest: dict[str, Any]
) -> dict[str, int]:
    """Index a folder of JSON impact vectors into ``index``; return the counts of documents indexed and empty.

    The index equals Anserini's, posting for posting (native/lucene). ``manifest`` goes into Lucene's commit
    data, as JSON. InputError names a record that cannot be indexed, or says that there are not ``documents``
    in all.
    """
    start_jvm(settings.memory)
    from jnius import JavaException, autoclass

    shards = [str(path.resolve()) for path in shard_paths(vectors)]
    buffer = settings.memory * BUFFER_SHARE
    commit = json.dumps(manifest, sort_keys=True)
    try:
        indexer = autoclass("repro.ImpactIndexer")(
            str(index.resolve()), shards, settings.threads, buffer, settings.store_raw, settings.merge, commit
        )
        _run_with_progress(
            indexer.run, lambda: indexer.indexed() + indexer.empty(), documents, "indexing", "documents"
        )
    except JavaException as error:
        raise InputError(f"indexing {vectors}: {java_error(error)}") from error
    indexed, empty = indexer.indexed(), indexer.empty()
    if indexed + empty != documents:
        raise InputError(
            f"{vectors} holds {indexed + empty:,} of {documents:,} documents; was the folder changed? "
            "Encode it again"
        )
    return {"documents": indexed, "empty": empty}


def build_impact_index_with_anserini(
    vectors: Path, index: Path, documents: int, settings: Indexing
) -> dict[str, int]:
    """Do the same with Anserini's own indexer, which repeats each term as often as its impact says."""
    options: dict[str, str | bool] = {
        "collectionClass": "JsonVectorCollection",
        "impact": True,
        "pretokenized": True,
    }
    return _index_with_anserini(vectors, index, documents, settings, options)


def build_bm25_index(
    documents: Iterable[Document], index: Path, total: int, settings: Indexing
) -> dict[str, int]:
    """Index texts for BM25 (Anserini's English analyzer) into ``index``; return the counts as above.

    Anserini reads files only, so the texts go to temporary ones beside the index, one for each thread.
    """
    texts = index.with_name(index.name + ".texts")
    remove(texts)
    texts.mkdir(parents=True)
    names = [texts / f"part-{i:05d}.jsonl" for i in range(min(settings.threads, total))]
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(open(name, "w", encoding="utf-8")) for name in names]
            for number, document in enumerate(documents):
                line = json.dumps({"id": document.id, "contents": document.text}, ensure_ascii=False)
                files[number % len(files)].write(line + "\n")
        return _index_with_anserini(texts, index, total, settings, {"collectionClass": "JsonCollection"})
    finally:
        remove(texts)


def merge_indexes(parts: Sequence[Path], index: Path, settings: Indexing, manifest: dict[str, Any]) -> int:
    """Have Lucene merge indexes into ``index``, their documents one part after the other; return the number.

    ``manifest`` goes into Lucene's commit data. InputError if a part is no index.
    """
    start_jvm(settings.memory)
    from jnius import JavaException, autoclass

    commit, paths = json.dumps(manifest, sort_keys=True), [str(part.resolve()) for part in parts]
    merger = autoclass("repro.IndexMerger")(str(index.resolve()), paths, settings.merge, commit)
    megabytes = sum(map(folder_bytes, parts)) // 10**6
    try:
        _run_with_progress(
            merger.run, lambda: folder_bytes(index) // 10**6, megabytes, "merging indexes", "MB"
        )
    except JavaException as error:
        raise InputError(f"merging into {index}: {java_error(error)}") from error
    return merger.documents()


def compare_indexes(first: Path, second: Path) -> tuple[int, list[str]]:
    """Return the number of postings compared and the first differences, a sentence each, of two indexes.

    Compared are documents, fields, stored fields, doc values, norms and, term by term, postings.
    """
    start_jvm()
    from jnius import autoclass

    with opening(first), opening(second):
        comparison = autoclass("repro.IndexComparison")(str(first.resolve()), str(second.resolve()))
    return comparison.postings(), list(comparison.differences())


def commit_manifest(index: Path) -> dict[str, Any] | None:
    """Return the manifest in the commit data of an index; None if it has none, as Anserini's.

    InputError if the folder is no index.
    """
    start_jvm()
    from jnius import autoclass

    path = autoclass("java.nio.file.Paths").get(str(index.resolve()))
    with opening(index):
        directory = autoclass("org.apache.lucene.store.FSDirectory").open(path)
        commit = autoclass("org.apache.lucene.index.SegmentInfos").readLatestCommit(directory)
    manifest = commit.getUserData().get("manifest")
    return json.loads(manifest) if manifest else None


def _index_with_anserini(
    source: Path, index: Path, documents: int, settings: Indexing, options: dict[str, str | bool]
) -> dict[str, int]:
    start_jvm()
    from jnius import JavaException, autoclass

    args = autoclass("io.anserini.index.IndexCollection$Args")()
    common: dict[str, str | bool | int] = {
        "input": str(source.resolve()),
        "index": str(index.resolve()),
        "generatorClass": "DefaultLuceneDocumentGenerator",
        "threads": settings.threads,
        "storeRaw": settings.store_raw,
        "optimize": settings.merge,
        "quiet": True,
    }
    for name, value in {**common, **options}.items():
        setattr(args, name, value)
    try:
        indexer = autoclass("io.anserini.index.IndexCollection")(args)
        counters = indexer.getCounters()
        _run_with_progress(
            indexer.run,
            lambda: counters.indexed.get() + counters.empty.get(),
            documents,
            "indexing",
            "documents",
        )
    except JavaException as error:
        raise InputError(f"indexing {source} with Anserini: {java_error(error)}") from error
    counts = {name: getattr(counters, name).get() for name in ("indexed", "empty", "unindexable", "errors")}
    if counts["indexed"] + counts["empty"] != documents:
        raise InputError(
            f"Anserini indexed {counts['indexed']:,} of {documents:,} documents of {source} "
            f"({counts['empty']:,} empty, {counts['unindexable'] + counts['errors']:,} failed); "
            "is the disk full, or was the folder changed?"
        )
    _refuse_unfinished(index, counts["indexed"])
    return {"documents": counts["indexed"], "empty": counts["empty"]}


def _refuse_unfinished(index: Path, documents: int) -> None:
    """Raise InputError unless the index can be opened and has so many documents, OSError if the disk is full.

    Anserini only logs what it could not commit, and ends as if all was well.
    """
    try:
        with open_reader(index) as reader:
            found = reader.numDocs()
    except InputError:
        found = 0
    if found == documents:
        return
    if shutil.disk_usage(index).free <= folder_bytes(index):  # merging takes as much again
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(index))
    raise InputError(
        f"Anserini indexed {documents:,} documents and committed {found:,} to {index} (its log says why); "
        "run it again"
    )


def _run_with_progress(
    work: Callable[[], None], done: Callable[[], int], total: int, task: str, unit: str
) -> None:
    """Run a Java method in a thread of its own while this one moves the bar; raise what it raises."""
    import jnius

    def run() -> None:
        try:
            work()
        finally:
            jnius.detach()

    with ThreadPoolExecutor(1) as pool, bar(total, task, unit) as progress:
        running = pool.submit(run)
        while not running.done():
            wait([running], timeout=0.2)
            progress.update(done() - progress.n)
        running.result()
