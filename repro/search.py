"""Search a system's index with a collection's queries and write a TREC run file.

    python -m repro.search --collection sample --system splade-tiny

Queries of SPLADE and dense systems are encoded by python -m repro.encode, in a process of its own, if that was not done.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

from repro.artifacts.graph import Plan
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note, track
from repro.cli.guard import guarded
from repro.cli.options import (
    add_bm25,
    add_collection,
    add_encoding,
    add_faiss,
    add_query_terms,
    add_runs,
    add_work,
    positive,
)
from repro.cli.stages import plan
from repro.formats.impact_vectors import read_vectors, strongest
from repro.formats.runs import write_run


def main(argv: list[str] | None = None) -> int:
    """Parse, search unless the run is current, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.search", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--system", required=True, help="a system of the table, or splade:<model>, dense:<model>"
    )
    parser.add_argument(
        "--hits", type=positive, default=1000, metavar="K", help="documents a query (default: 1000)"
    )
    parser.add_argument(
        "--all-queries", action="store_true", help="search with queries without a judgment, too"
    )
    parser.add_argument("--tag", help="the run's tag, its last column (default: the system's name)")
    add_query_terms(parser)
    add_bm25(parser)
    add_faiss(parser)
    add_encoding(parser)
    add_runs(parser)
    add_work(parser)
    args = parser.parse_args(argv)
    wanted = plan(args)
    if wanted.weights is not None and not wanted.queries.is_current():
        _encode_queries(args)
    if args.force or not wanted.run.is_current():
        search(wanted, args.threads, args.tag)
    print(wanted.run.path)
    return 0


def search(wanted: Plan, threads: int, tag: str | None = None) -> Artifact:
    """Search and write the run of a plan; InputError if the index is missing or outdated."""
    if not wanted.index.is_current():
        raise InputError(
            f"{wanted.index.path} is missing or was made from something else; run first: "
            f"python -m repro.index --collection ... --system {wanted.system.name} (same options)"
        )
    total = len(wanted.collection.queries(wanted.judged_only))
    run = wanted.run
    partial = run.begin()
    with ExitStack() as stack:
        results = _open(wanted, threads, stack)  # starting the JVM and opening the index are not searching
        started = time.perf_counter()
        searched = track(results, total, f"searching {wanted.index.path.name}", "queries")
        lines = write_run(partial, searched, tag or wanted.system.name)
        seconds = time.perf_counter() - started
    rate = total / seconds
    run.finish(
        partial,
        system=wanted.system.name,
        collection=wanted.collection.name,
        counts={"queries": total, "lines": lines},
        threads=threads,
        seconds=round(seconds, 3),
        queries_per_second=round(rate, 1),
    )
    note(f"{run.path.name}: {total:,} queries, {lines:,} lines, {rate:,.0f} queries a second")
    return run


def _open(wanted: Plan, threads: int, stack: ExitStack) -> Iterator[tuple[str, dict[str, float]]]:
    """Open the index with the engine that its kind needs; return an iterator of (query id, {docid: score})."""
    index, k = wanted.index.path, wanted.hits
    if wanted.system.kind == "dense":
        from repro.dense.searching import DenseSearcher

        return DenseSearcher(index, threads).search_all(wanted.queries.path, k)
    from repro.lucene.searching import BatchSearcher, impact_query

    if wanted.system.kind == "bm25":
        searcher = stack.enter_context(BatchSearcher(index, threads, (wanted.k1, wanted.b)))
        return searcher.search_all(wanted.collection.queries(wanted.judged_only), k)
    searcher = stack.enter_context(BatchSearcher(index, threads))
    vectors = read_vectors(wanted.queries.path)
    terms = wanted.max_query_terms
    return searcher.search_all(((v.id, impact_query(strongest(v.vector, terms))) for v in vectors), k)


def _encode_queries(args: argparse.Namespace) -> None:
    """Run python -m repro.encode for the queries: torch and Lucene or FAISS never share a process."""
    command = [sys.executable, "-m", "repro.encode", "--only", "queries", "--collection", args.collection]
    command += ["--system", args.system, "--work", str(args.work), "--scale", repr(args.scale)]
    command += ["--precision", args.precision, "--threads", str(args.threads)]
    command += ["--split", args.split] if args.split else []
    command += ["--all-queries"] if args.all_queries else []
    if (code := subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode) != 0:
        raise InputError(f"the queries could not be encoded (exit code {code}, see above)")


if __name__ == "__main__":
    sys.exit(guarded(main))
