"""Build Lucene indexes with Anserini's own indexer: BM25 over text, impacts over JSON vectors.

Anserini leaves out documents without any term ("empty"); they could never be found, and here they are counted.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

from repro.data.artifacts import remove
from repro.data.collection import Document
from repro.errors import InputError
from repro.lucene.java import java_error, start_jvm
from repro.progress import bar


def build_impact_index(vectors: Path, index: Path, documents: int, threads: int) -> dict:
    """Index a folder of JSON impact vectors into ``index``; return the counts of documents indexed and empty."""
    options = {"collectionClass": "JsonVectorCollection", "impact": True, "pretokenized": True}
    return _index(vectors, index, documents, threads, options)


def build_bm25_index(documents: Iterable[Document], index: Path, total: int, threads: int) -> dict:
    """Index texts for BM25 (Anserini's English analyzer) into ``index``; return the counts as above.

    Anserini reads files only, so the texts go to temporary ones beside the index, one for each thread.
    """
    texts = index.with_name(index.name + ".texts")
    remove(texts)
    texts.mkdir(parents=True)
    names = [texts / f"part-{i:05d}.jsonl" for i in range(min(threads, total))]
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(open(name, "w", encoding="utf-8")) for name in names]
            for number, document in enumerate(documents):
                line = json.dumps({"id": document.id, "contents": document.text}, ensure_ascii=False)
                files[number % len(files)].write(line + "\n")
        return _index(texts, index, total, threads, {"collectionClass": "JsonCollection"})
    finally:
        remove(texts)


def _index(source: Path, index: Path, documents: int, threads: int, options: dict) -> dict:
    start_jvm()
    from jnius import JavaException, autoclass

    args = autoclass("io.anserini.index.IndexCollection$Args")()
    common = {
        "input": str(source.resolve()),
        "index": str(index.resolve()),
        "generatorClass": "DefaultLuceneDocumentGenerator",
        "threads": threads,
        "optimize": True,  # one segment: the same size and speed each time
        "quiet": True,
    }
    for name, value in {**common, **options}.items():
        setattr(args, name, value)
    try:
        indexer = autoclass("io.anserini.index.IndexCollection")(args)
        counters = indexer.getCounters()
        _run_with_progress(indexer, counters, documents)
    except JavaException as error:
        raise InputError(f"Anserini could not index {source}: {java_error(error)}") from error
    counts = {name: getattr(counters, name).get() for name in ("indexed", "empty", "unindexable", "errors")}
    if counts["indexed"] + counts["empty"] != documents:
        raise InputError(
            f"Anserini indexed {counts['indexed']:,} of {documents:,} documents of {source} ({counts['empty']:,} empty, "
            f"{counts['unindexable'] + counts['errors']:,} failed); is the disk full, or was the folder changed?"
        )
    return {"documents": counts["indexed"], "empty": counts["empty"]}


def _run_with_progress(indexer: object, counters: object, documents: int) -> None:
    """Run a Java indexer in a thread of its own while this one moves the bar; raise what it raises."""
    import jnius

    def run() -> None:
        try:
            indexer.run()
        finally:
            jnius.detach()

    with ThreadPoolExecutor(1) as pool, bar(documents, "indexing", "documents") as progress:
        running = pool.submit(run)
        while not running.done():
            wait([running], timeout=0.2)
            progress.update(counters.indexed.get() + counters.empty.get() - progress.n)
        running.result()
