"""Build the index that a system searches: Lucene for BM25 and impacts, FAISS for dense vectors.

    python -m repro.index --collection sample --system splade-tiny

Impact and dense indexes are built from what python -m repro.encode wrote; BM25's straight from the collection. How a Lucene
index is built (--indexer, --store-raw, --no-merge) changes nothing that a search finds, so an index that is there is kept
unless it was built otherwise than one of these options asks.
"""

import argparse
import sys
import time

from repro.artifacts.graph import Plan
from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import folder_bytes
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import add_collection, add_encoding, add_faiss, add_work, positive
from repro.cli.stages import plan

DEFAULTS = {"indexer": "repro", "store_raw": False, "merge": True}
"""How a Lucene index is built; recorded in its manifest as ``built``."""


def main(argv: list[str] | None = None) -> int:
    """Parse, index if the index is missing or outdated, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.index", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--system", required=True, help="a system of the table, or splade:<model>, dense:<model>"
    )
    parser.add_argument(
        "--indexer",
        choices=["repro", "anserini"],
        help="of impacts: this project's, or Anserini's own, slower (default: repro)",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        default=2048,
        metavar="MB",
        help="the impact indexer's heap (default: 2048)",
    )
    parser.add_argument(
        "--store-raw",
        action="store_true",
        default=None,
        help="keep each record in a Lucene index, for display, as Anserini's --storeRaw",
    )
    parser.add_argument(
        "--no-merge",
        action="store_false",
        default=None,
        dest="merge",
        help="leave a Lucene index in several segments: built sooner, searched more slowly",
    )
    add_faiss(parser)
    add_encoding(parser)
    add_work(parser)
    args = parser.parse_args(argv)
    if args.memory < 256:
        raise InputError(f"--memory: {args.memory} MB is too little for the JVM; give it 256 or more")
    wanted = plan(args)
    if args.force or not wanted.index.is_current() or _built_otherwise(wanted, args):
        build(wanted, args)
    print(wanted.index.path)
    return 0


def build(wanted: Plan, args: argparse.Namespace) -> Artifact:
    """Build the index of a plan; InputError if the encoded documents that it needs are missing or outdated."""
    kind, documents = wanted.system.kind, wanted.corpus.documents
    if kind != "bm25" and not wanted.documents.is_current():
        raise InputError(
            f"{wanted.documents.path} is missing or was made from something else; run first: "
            f"python -m repro.encode --collection ... --system {wanted.system.name} (same options)"
        )
    index = wanted.index
    built = {**DEFAULTS, **_asked(args)} if kind != "dense" else {}
    if kind == "bm25":
        built["indexer"] = "anserini"
    folder = index.begin()
    started = time.perf_counter()
    if kind == "bm25":
        from repro.lucene.indexing import build_bm25_index

        counts = build_bm25_index(wanted.collection.documents(), folder, documents, _how(args, built))
    elif kind == "splade":
        from repro.lucene import indexing

        vectors, how = wanted.documents.path, _how(args, built)
        if built["indexer"] == "anserini":
            counts = indexing.build_impact_index_with_anserini(vectors, folder, documents, how)
        else:
            manifest = {"inputs": index.inputs, "made": provenance()}
            counts = indexing.build_impact_index(vectors, folder, documents, how, manifest)
    else:
        from repro.dense.indexing import build_index

        counts = build_index(wanted.documents.path, folder, args.faiss, args.threads, documents)
    seconds = time.perf_counter() - started
    size = folder_bytes(folder)
    index.finish(folder, counts=counts, built=built, bytes=size, seconds=round(seconds, 3))
    empty = f", {counts['empty']:,} without any term left out" if counts["empty"] else ""
    note(
        f"{index.path.name}: {counts['documents']:,} documents{empty}, {size / 1e6:,.1f} MB, {seconds:.1f} s"
    )
    return index


def _asked(args: argparse.Namespace) -> dict:
    """Return those of the building options that were given."""
    return {name: getattr(args, name) for name in DEFAULTS if getattr(args, name) is not None}


def _built_otherwise(wanted: Plan, args: argparse.Namespace) -> bool:
    """Tell whether the index that is there was built in another way than the options ask."""
    built = wanted.index.manifest().get("built", {})
    asked = _asked(args)
    if wanted.system.kind == "bm25":
        asked.pop("indexer", None)  # Anserini's, always
    return wanted.system.kind != "dense" and any(built.get(name) != value for name, value in asked.items())


def _how(args: argparse.Namespace, built: dict) -> object:
    from repro.lucene.indexing import Indexing

    return Indexing(args.threads, args.memory, built["store_raw"], built["merge"])


if __name__ == "__main__":
    sys.exit(guarded(main))
