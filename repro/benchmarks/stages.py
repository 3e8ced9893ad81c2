"""What each stage of ``python -m repro.bench`` measures: its contestants, and the check of their results.

A stage takes the parsed arguments and returns what ``--json`` writes; ``differing`` in it counts wrong results.
"""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import bar, note
from repro.cli.options import FAISS_KINDS, CollectionOptions, DenseOptions, SystemOptions, WorkOptions
from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.pipeline.opening import open_artifacts


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

    documents = _current(_artifacts(args, args.split).documents, "encode")
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

    wanted = _artifacts(args, args.split)
    _current(wanted.index, "index")
    racers = retrieving.contestants(wanted, args.collection, args.split, args.hits, args.threads)
    return _race(args, racers, "queries a second", hits=args.hits)


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
    from repro.benchmarks import training_steps

    if args.data is None or not list(args.data.glob("*.parquet")):
        raise InputError("--data: expected a folder of parquet files that python -m repro.distill made")
    rows = training_steps.count_rows(args.data)
    if rows < args.batch:
        raise InputError(
            f"--data {args.data}: {rows} rows are fewer than one batch of {args.batch} (--batch)"
        )
    folder = str(resolve(find_system(args.system)).path)
    return _race(
        args, training_steps.contestants(folder, args.data, args.batch, args.threads), "rows a second"
    )


def sparsity(args: argparse.Namespace) -> dict:
    """Train a recipe with several weights of its regularisers."""
    from repro.benchmarks.sparsity import sparsity_table, sweep
    from repro.report.readme import update_block

    recipe = ["--recipe", args.recipe[0], "--set", *args.recipe[1:]]
    splits = args.split.split(",") if args.split else [None]
    trained = sweep(
        recipe, args.weights, args.collection, splits, WorkOptions(args.work, threads=args.threads)
    )
    text = sparsity_table(trained)
    print(text)
    if update_block(Path("README.md"), f"bench sparsity {args.recipe[0]}", text):
        note("wrote README.md")
    return {"stage": "sparsity", "recipe": args.recipe, "models": [asdict(one) for one in trained]}


def dense(args: argparse.Namespace) -> dict:
    """Race the kinds of dense indexes."""
    from repro.benchmarks import dense as racing

    wanted = _artifacts(args, args.split)
    indexes = {
        kind: _current(_artifacts(args, args.split, DenseOptions(kind)).index, f"index --faiss {kind}").path
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
    from repro.report.markdown import race_table
    from repro.report.readme import update_block

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


def _plans(args: argparse.Namespace) -> list[SystemArtifacts]:
    """Return a plan for each of the splits, which --split separates by commas here."""
    splits = args.split.split(",") if args.split else [None]
    return [_artifacts(args, split) for split in splits]


def _artifacts(
    args: argparse.Namespace, split: str | None, dense: DenseOptions = DenseOptions()
) -> SystemArtifacts:
    """Return what the system has on a split of the collection."""
    collection = CollectionOptions(args.collection, split)
    return open_artifacts(args.system, collection, WorkOptions(args.work), SystemOptions(dense=dense))


def _current(artifact: Artifact, command: str) -> Artifact:
    if not artifact.is_current():
        raise InputError(
            f"{artifact.path} is missing or outdated; make it with python -m repro.{command} "
            "--collection ... --system ... (same --work)"
        )
    return artifact
