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
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import write_json
from repro.benchmarks.stages import STAGES
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions
from repro.cli.parsing import add_options, positive
from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve


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
    add_options(parser, CollectionOptions)
    parser.add_argument("--system", help="whose model (default: splade-tiny; for dense, all-minilm-l6-v2)")
    parser.add_argument(
        "--shape",
        choices=["tiny", "mini", "small"],
        help="of encode, train: random weights in BERT's shape instead",
    )
    parser.add_argument(
        "--limit", type=positive("limit"), default=4096, metavar="N", help="passages (default: 4096)"
    )
    parser.add_argument(
        "--every", type=positive("every"), default=16, metavar="N", help="slow peers take every Nth (default: 16)"
    )
    parser.add_argument(
        "--rounds", type=positive("rounds"), default=5, metavar="N", help="turns of each (default: 5)"
    )
    parser.add_argument(
        "--threads", type=positive("threads"), default=os.cpu_count(), metavar="N", help="(default: all)"
    )
    parser.add_argument(
        "--hits", type=positive("hits"), default=1000, metavar="K", help="documents a query (default: 1000)"
    )
    parser.add_argument(
        "--sizes", type=_sizes, default="100000,300000,1000000", metavar="N,N", help="of scale, in documents"
    )
    parser.add_argument(
        "--memory", type=positive("memory"), default=2048, metavar="MB", help="the indexer's heap (default: 2048)"
    )
    parser.add_argument(
        "--batch",
        type=positive("batch"),
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


def _random_model(args: argparse.Namespace) -> str:
    """Make the model that --shape asks for, and return it as a --system."""
    from repro.benchmarks import shapes

    folder = args.work / "bench" / f"splade-random-{args.shape}"
    documents = open_collection(args.collection, args.split).documents()
    texts = [document.text for document in itertools.islice(documents, 32)]
    shapes.make(args.shape, resolve(find_system("splade-tiny")).path, texts, folder)
    return f"splade:{folder}"


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _sizes(text: str) -> list[int]:
    return [positive("sizes")(size) for size in text.split(",")]


if __name__ == "__main__":
    sys.exit(guarded(main))
