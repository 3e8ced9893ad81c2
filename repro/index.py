"""Build the index that a system searches: Lucene for BM25 and impacts, FAISS for dense vectors.

    python -m repro.index --collection sample --system splade-tiny

Impact and dense indexes are built from what python -m repro.encode wrote; BM25's straight from the collection.
"""

import argparse
import sys
import time

from repro.command import add_collection, add_encoding, add_work, guarded
from repro.data.artifacts import Artifact, folder_bytes
from repro.data.layout import Plan
from repro.errors import InputError
from repro.planning import plan
from repro.progress import note


def main(argv: list[str] | None = None) -> int:
    """Parse, index if the index is missing or outdated, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.index", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--system", required=True, help="a system of the table, or splade:<model>, dense:<model>"
    )
    add_encoding(parser)
    add_work(parser)
    args = parser.parse_args(argv)
    wanted = plan(args)
    if args.force or not wanted.index.is_current():
        build(wanted, args.threads)
    print(wanted.index.path)
    return 0


def build(wanted: Plan, threads: int) -> Artifact:
    """Build the index of a plan; InputError if the encoded documents that it needs are missing or outdated."""
    kind, documents = wanted.system.kind, wanted.corpus.documents
    if kind != "bm25" and not wanted.documents.is_current():
        raise InputError(
            f"{wanted.documents.path} is missing or was made from something else; run first: "
            f"python -m repro.encode --collection ... --system {wanted.system.name} (same options)"
        )
    index = wanted.index
    folder = index.begin()
    started = time.perf_counter()
    if kind == "bm25":
        from repro.lucene.indexing import build_bm25_index

        counts = build_bm25_index(wanted.collection.documents(), folder, documents, threads)
    elif kind == "splade":
        from repro.lucene.indexing import build_impact_index

        counts = build_impact_index(wanted.documents.path, folder, documents, threads)
    else:
        from repro.dense.flat import build_flat_index

        counts = build_flat_index(wanted.documents.path, folder, threads)
    seconds = time.perf_counter() - started
    size = folder_bytes(folder)
    index.finish(folder, counts=counts, bytes=size, seconds=round(seconds, 3))
    empty = f", {counts['empty']:,} without any term left out" if counts["empty"] else ""
    note(
        f"{index.path.name}: {counts['documents']:,} documents{empty}, {size / 1e6:,.1f} MB, {seconds:.1f} s"
    )
    return index


if __name__ == "__main__":
    sys.exit(guarded(main))
