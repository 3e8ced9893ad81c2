"""Measure speed beside the peers, on the same work in one run: interleaved, medians of several rounds.

    python -m repro.bench encode --collection msmarco-passage --limit 4096 --json encode.json

encode      passages encoded, beside Sentence Transformers and Pyserini
exactness   every posting beside the plain float32 formula
index       impact vectors indexed, beside Anserini; the two indexes are compared
search      encoded queries searched, beside Pyserini and a sparse matrix product; the rankings are compared
retrieve    query texts encoded and searched, beside Pyserini
terms       searching with a query's strongest terms only: speed and effectiveness (--max-query-terms of search)
train       training steps, beside Sentence Transformers' own modules (--data: what distill made)
dense       embeddings searched: flat, float16 and HNSW indexes, beside FAISS's index in memory
sparsity    a recipe trained with several weights of its regularisers (--weights): effectiveness and active terms
scale       indexing and searching at sizes drawn from the collection's distribution (--sizes)

All but encode, exactness, train and sparsity take what encode and index made in --work.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from repro.command import add_collection, guarded, positive
from repro.data.artifacts import Artifact, write_json
from repro.data.collection import open_collection
from repro.data.layout import Plan
from repro.data.systems import find_system
from repro.data.weights import resolve
from repro.errors import InputError
from repro.planning import plan
from repro.progress import bar, note


def main(argv: list[str] | None = None) -> int:
    """Parse, race, print a table, write JSON; 1 if a result is not what it must equal."""
    args = _parser().parse_args(argv)
    args.system = args.system or ("all-minilm-l6-v2" if args.stage == "dense" else "splade-tiny")
    if args.shape:
        if args.stage not in ("encode", "train"):
            raise InputError(f"--shape is of encode and train; {args.stage} takes --system")
        args.system = _random_model(args)
    kind = "dense" if args.stage == "dense" else "splade"
    if find_system(args.system).kind != kind:
        raise InputError(f"--system {args.system}: {args.stage} measures a {kind} system")
    result = STAGES[args.stage](args)
    if args.json:
        write_json(args.json, result)
    return 1 if result.get("differing") else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m repro.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=STAGES, help="what to measure", metavar="STAGE")
    add_collection(parser)
    parser.add_argument("--system", help="whose model (default: splade-tiny; for dense, all-minilm-l6-v2)")
    parser.add_argument(
        "--shape",
        choices=["tiny", "mini", "small"],
        help="of encode, train: random weights in BERT's shape instead",
    )
    parser.add_argument("--limit", type=positive, default=4096, metavar="N", help="passages (default: 4096)")
    parser.add_argument(
        "--every", type=positive, default=16, metavar="N", help="slow peers take every Nth (default: 16)"
    )
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="turns of each (default: 5)")
    parser.add_argument(
        "--threads", type=positive, default=os.cpu_count(), metavar="N", help="(default: all)"
    )
    parser.add_argument(
        "--hits", type=positive, default=1000, metavar="K", help="documents a query (default: 1000)"
    )
    parser.add_argument(
        "--sizes", type=_sizes, default="100000,300000,1000000", metavar="N,N", help="of scale, in documents"
    )
    parser.add_argument(
        "--memory", type=positive, default=2048, metavar="MB", help="the indexer's heap (default: 2048)"
    )
    parser.add_argument(
        "--batch",
        type=positive,
        default=48,
        metavar="N",
        help="of train, in rows of 1 + 5 texts (default: 48)",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of train: distillation data")
    parser.add_argument(
        "--recipe",
        nargs="+",
        default=["scratch"],
        metavar="R",
        help="of sparsity: a recipe, then KEY=VALUE ...",
    )
    parser.add_argument(
        "--weights",
        type=_numbers,
        default="0.2,2,20",
        metavar="W,W",
        help="of sparsity (default: 0.2,2,20)",
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="only contestants whose name contains this, beside ours"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="where vectors and indexes are (default: ./work)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    return parser


def exactness(args: argparse.Namespace) -> dict:
    """Compare every posting with the plain float32 formula."""
    from repro.benchmarks.exactness import compare

    folder = resolve(find_system(args.system)).path
    documents = open_collection(args.collection, args.split).documents()
    texts = (document.text for document in itertools.islice(documents, args.limit))
    with bar(args.limit, "comparing", "passages") as progress:
        for found in compare(folder, texts, args.threads):
            progress.update(found.texts - progress.n)
    result = asdict(found)
    print("\n".join(f"{name.replace('_', ' '):<20} {value:>14,}" for name, value in result.items()))
    return result


def encode(args: argparse.Namespace) -> dict:
    """Race the encoders."""
    from repro.benchmarks import encoding

    folder = str(resolve(find_system(args.system)).path)
    racers = encoding.contestants(folder, args.collection, args.split, args.limit, args.every, args.threads)
    return _race(args, racers, "passages a second", passages=args.limit)


def index(args: argparse.Namespace) -> dict:
    """Race the indexers, then compare what they built."""
    from repro.benchmarks import indexing
    from repro.lucene.indexing import compare_indexes

    documents = _current(plan(args).documents, "encode")
    count = documents.manifest()["counts"]["texts"]
    racers = indexing.contestants(documents.path, count, args.work, args.threads, args.memory)

    def compare() -> dict:
        postings, differences = compare_indexes(*(indexing.folder(args.work, n) for n in indexing.NAMES))
        said = f"The two indexes hold the same {postings:,} postings, documents, fields and norms."
        return {
            "postings": postings,
            "differing": differences,
            "check": "; ".join(differences) if differences else said,
        }

    return _race(args, racers, "documents a second", compare)


def search(args: argparse.Namespace) -> dict:
    """Race the searchers over encoded queries of one or several splits, then compare the rankings with the exact product."""
    from repro.benchmarks import searching

    plans = _plans(args)
    queries = [_current(one.queries, "encode --only queries").path for one in plans]
    where, vectors = _current(plans[0].index, "index").path, _current(plans[0].documents, "encode").path
    racers = searching.contestants(where, vectors, queries, args.hits, args.threads, args.every)

    def compare() -> dict:
        total, wrong = searching.check(where, vectors, queries, args.hits, args.threads)
        said = (
            f"{total - wrong:,} of {total:,} rankings equal the exact product's: documents, order and scores."
        )
        return {"queries": total, "differing": wrong, "check": said}

    return _race(args, racers, "queries a second", compare, hits=args.hits)


def retrieve(args: argparse.Namespace) -> dict:
    """Race query encoding and searching together."""
    from repro.benchmarks import retrieving

    wanted = plan(args)
    _current(wanted.index, "index")
    racers = retrieving.contestants(wanted, args.collection, args.split, args.threads)
    return _race(args, racers, "queries a second", hits=wanted.hits)


def terms(args: argparse.Namespace) -> dict:
    """Search with fewer and fewer terms."""
    from repro.benchmarks import query_terms

    plans = _plans(args)
    queries = [_current(one.queries, "encode --only queries").path for one in plans]
    where = _current(plans[0].index, "index").path
    splits = args.split.split(",") if args.split else [None]
    racers = query_terms.contestants(where, queries, args.collection, splits, args.hits, args.threads)
    return _race(args, racers, "queries a second", hits=args.hits)


def train(args: argparse.Namespace) -> dict:
    """Race training steps."""
    from repro.benchmarks import training

    if args.data is None or not list(args.data.glob("*.parquet")):
        raise InputError("--data: expected a folder of parquet files that python -m repro.distill made")
    rows = training.count_rows(args.data)
    if rows < args.batch:
        raise InputError(
            f"--data {args.data}: {rows} rows are fewer than one batch of {args.batch} (--batch)"
        )
    folder = str(resolve(find_system(args.system)).path)
    return _race(args, training.contestants(folder, args.data, args.batch, args.threads), "rows a second")


def sparsity(args: argparse.Namespace) -> dict:
    """Train a recipe with several weights of its regularisers."""
    from repro.benchmarks.sparsity import sparsity_table, sweep
    from repro.report.markdown import update_block

    recipe = ["--recipe", args.recipe[0], "--set", *args.recipe[1:]]
    splits = args.split.split(",") if args.split else [None]
    trained = sweep(recipe, args.weights, args.collection, splits, args.work, args.threads)
    text = sparsity_table(trained)
    print(text)
    if update_block(Path("README.md"), f"bench sparsity {args.recipe[0]}", text):
        note("wrote README.md")
    return {"stage": "sparsity", "recipe": args.recipe, "models": [asdict(one) for one in trained]}


def dense(args: argparse.Namespace) -> dict:
    """Race the kinds of dense indexes."""
    from repro.benchmarks import dense as racing
    from repro.command import FAISS_KINDS

    wanted = plan(args)
    indexes = {
        kind: _current(replace(wanted, faiss=kind).index, f"index --faiss {kind}").path
        for kind in FAISS_KINDS
    }
    queries = _current(wanted.queries, "encode --only queries").path
    racers = racing.contestants(indexes, queries, args.hits, args.threads)
    return _race(args, racers, "queries a second", hits=args.hits)


def scale(args: argparse.Namespace) -> dict:
    """Index and search drawn collections of growing size."""
    from repro.benchmarks import scaling

    plans = _plans(args)
    vectors = _current(plans[0].documents, "encode").path
    queries = [_current(one.queries, "encode --only queries").path for one in plans]
    folder = args.work / "bench" / "scale"
    scaling.draw(vectors, folder, max(args.sizes))
    racers = scaling.contestants(folder, args.sizes, queries, args.hits, args.threads, args.memory)
    return _race(args, racers, "documents a second", hits=args.hits, memory=args.memory)


STAGES = {
    "encode": encode,
    "exactness": exactness,
    "index": index,
    "search": search,
    "retrieve": retrieve,
    "terms": terms,
    "train": train,
    "dense": dense,
    "sparsity": sparsity,
    "scale": scale,
}


def _race(
    args: argparse.Namespace, racers: list, unit: str, check: Callable[[], dict] = dict, **facts: object
) -> dict:
    """Run the contestants, check their results, print the table and put it into README's block, if there is one."""
    from repro.benchmarks import contest
    from repro.report.markdown import race_table, update_block

    if args.only:
        racers = [racer for racer in racers if racer.ours or args.only in racer.name]
    results = contest.run(racers, args.rounds, args.threads, alone=args.stage == "train")
    system = find_system(args.system).name
    facts = {"system": system, "threads": args.threads, "unit": unit, **facts, **check()}
    result = contest.report(args.stage, args.collection, results, racers, **facts)
    for contestant in result["peers"]:
        if "error" in contestant:
            note(f"{contestant['name']}: not run: {contestant['error']}")
    text = race_table(result)
    print(text)
    if update_block(Path("README.md"), f"bench {args.stage} {system}", text):
        note("wrote README.md")
    return result


def _random_model(args: argparse.Namespace) -> str:
    """Make the model that --shape asks for, and return it as a --system."""
    from repro.benchmarks import shapes

    folder = args.work / "bench" / f"splade-random-{args.shape}"
    documents = open_collection(args.collection, args.split).documents()
    texts = [document.text for document in itertools.islice(documents, 32)]
    shapes.make(args.shape, resolve(find_system("splade-tiny")).path, texts, folder)
    return f"splade:{folder}"


def _plans(args: argparse.Namespace) -> list[Plan]:
    """Return a plan for each of the splits, which --split separates by commas here."""
    splits = args.split.split(",") if args.split else [None]
    return [plan(argparse.Namespace(**{**vars(args), "split": split})) for split in splits]


def _current(artifact: Artifact, command: str) -> Artifact:
    if not artifact.is_current():
        raise InputError(
            f"{artifact.path} is missing or outdated; make it with python -m repro.{command} "
            "--collection ... --system ... (same --work)"
        )
    return artifact


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _sizes(text: str) -> list[int]:
    return [positive(size) for size in text.split(",")]


if __name__ == "__main__":
    sys.exit(guarded(main))
