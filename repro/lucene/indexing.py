"""Build Lucene indexes: BM25 with Anserini's own indexer, impacts over JSON vectors with this project's.

Both indexers leave out documents without any term, which could never be found; they are counted as empty.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from repro.base.errors import InputError
from repro.base.files import folder_bytes, remove
from repro.base.full_disk import quoted_refusal
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
        with _logged_errors() as log:
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
    if counts["indexed"] + counts["empty"] != documents or _documents_of(index) != counts["indexed"]:
        _refuse_unfinished(source, index, documents, counts, log.toString())
    return {"documents": counts["indexed"], "empty": counts["empty"]}


@contextmanager
def _logged_errors() -> Iterator[Any]:
    """Collect what is logged in Java as an error: a ``java.io.StringWriter``, a message a line.

    Anserini only logs what it could not write or commit, and ends as if all was well.
    """
    from jnius import autoclass

    log4j = "org.apache.logging.log4j"
    threshold = autoclass(f"{log4j}.core.filter.ThresholdFilter")
    level = autoclass(f"{log4j}.Level").ERROR
    messages = autoclass("java.io.StringWriter")()
    appender = autoclass(f"{log4j}.core.appender.WriterAppender").createAppender(
        None, threshold.createFilter(level, None, None), messages, "repro", False, True
    )
    appender.start()
    logger = autoclass(f"{log4j}.core.LoggerContext").getContext(False).getRootLogger()
    logger.addAppender(appender)
    try:
        yield messages
    finally:
        logger.removeAppender(appender)
        appender.stop()


def _documents_of(index: Path) -> int:
    """Return the number of documents that are committed to an index: 0 if none can be read."""
    try:
        with open_reader(index) as reader:
            return reader.numDocs()
    except InputError:
        return 0


def _refuse_unfinished(
    source: Path, index: Path, documents: int, counts: dict[str, int], log: str
) -> NoReturn:
    """Raise OSError if Anserini's log tells of a full disk, else InputError with what it tells."""
    if number := quoted_refusal(log):
        raise OSError(number, os.strerror(number), str(index))
    reason = log.strip().partition("\n")[0].rstrip(".") or "its log names no error; was the folder changed?"
    raise InputError(
        f"Anserini indexed {counts['indexed']:,} of {documents:,} documents of {source} "
        f"({counts['empty']:,} empty, {counts['unindexable'] + counts['errors']:,} failed) "
        f"and committed {_documents_of(index):,}: {reason}; run it again"
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
