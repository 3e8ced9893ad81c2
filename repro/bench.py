"""Measure speed beside the peers, on the same work in one run: interleaved, medians of several rounds.

python -m repro.bench encode --collection msmarco-passage --limit 4096 --json encode.json
"""

import argparse
import itertools
import os
import sys
from dataclasses import asdict
from pathlib import Path

from repro.command import add_collection, guarded, positive
from repro.data.artifacts import write_json
from repro.data.collection import open_collection
from repro.data.systems import find_system
from repro.data.weights import resolve
from repro.errors import InputError
from repro.planning import plan
from repro.progress import bar, note


def main(argv: list[str] | None = None) -> int:
    """Parse, race, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m repro.bench", description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=["encode", "exactness", "search"], help="what to measure")
    add_collection(parser)
    parser.add_argument("--system", default="splade-tiny", help="whose model (default: splade-tiny)")
    parser.add_argument("--limit", type=positive, default=4096, metavar="N", help="passages (default: 4096)")
    parser.add_argument(
        "--every", type=positive, default=16, metavar="N", help="peers take every Nth (default: 16)"
    )
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="turns of each (default: 5)")
    parser.add_argument(
        "--threads", type=positive, default=os.cpu_count(), metavar="N", help="(default: all)"
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="only contestants whose name contains this, beside ours"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="where search finds its index (default: ./work)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    args = parser.parse_args(argv)
    system = find_system(args.system)
    if system.kind != "splade":
        raise InputError(
            f"--system {args.system} is no SPLADE model; the benchmarks compare encoders of those"
        )
    folder = resolve(system).path
    if args.stage in ("encode", "search"):
        result = encode(args, folder) if args.stage == "encode" else search(args)
        _print(result)
    else:
        result = exactness(args, folder)
        print("\n".join(f"{name.replace('_', ' '):<20} {value:>14,}" for name, value in result.items()))
    if args.json:
        write_json(args.json, result)
    return 1 if args.stage == "exactness" and result["differing"] else 0


def exactness(args: argparse.Namespace, folder: Path) -> dict:
    """Compare every posting with the plain float32 formula."""
    from repro.benchmarks.exactness import compare

    documents = open_collection(args.collection, args.split).documents()
    texts = (document.text for document in itertools.islice(documents, args.limit))
    with bar(args.limit, "comparing", "passages") as progress:
        for found in compare(folder, texts, args.threads):
            progress.update(found.texts - progress.n)
    return asdict(found)


def encode(args: argparse.Namespace, folder: Path) -> dict:
    """Race the encoders."""
    from repro.benchmarks import contest, encoding

    racers = encoding.contestants(
        str(folder), args.collection, args.split, args.limit, args.every, args.threads
    )
    if args.only:
        racers = [r for r in racers if r.ours or args.only in r.name]
    results = contest.run(racers, args.rounds, args.threads)
    facts = {
        "system": args.system,
        "passages": args.limit,
        "threads": args.threads,
        "unit": "passages a second",
    }
    return contest.report("encode", args.collection, results, racers, **facts)


def search(args: argparse.Namespace) -> dict:
    """Race query encoding and searching together, on an index that is there."""
    from repro.benchmarks import contest, searching

    wanted = plan(args)
    if not wanted.index.is_current():
        raise InputError(
            f"{wanted.index.path} is missing or outdated; make it with python -m repro.table first"
        )
    racers = searching.contestants(wanted, args.collection, args.split, args.threads)
    results = contest.run(racers, args.rounds, args.threads)
    facts = {"system": args.system, "hits": wanted.hits, "threads": args.threads, "unit": "queries a second"}
    return contest.report("search", args.collection, results, racers, **facts)


def _print(result: dict) -> None:
    """Print the race, and put it into README's block for it, if the README here has one."""
    from repro.report.markdown import race_table, update_block

    for contestant in result["peers"]:
        if "error" in contestant:
            note(f"{contestant['name']}: not run: {contestant['error']}")
    text = race_table(result)
    print(text)
    if update_block(Path("README.md"), f"bench {result['stage']} {result['system']}", text):
        note("wrote README.md")


if __name__ == "__main__":
    sys.exit(guarded(main))
