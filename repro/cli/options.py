"""Options that several commands share."""

import argparse
import os
from pathlib import Path

from repro.base.errors import InputError

PRECISIONS = ("exact", "float32", "bf16")
FAISS_KINDS = ("flat", "float16", "hnsw")


def add_collection(parser: argparse.ArgumentParser) -> None:
    """Add ``--collection`` and ``--split``."""
    parser.add_argument(
        "--collection",
        default="sample",
        metavar="C",
        help="'sample' (embedded), an ir_datasets id, or a folder in BEIR's layout (default: sample)",
    )
    parser.add_argument(
        "--split", metavar="S", help="which qrels/<split>.tsv of a BEIR folder or the sample (default: test)"
    )


def add_work(parser: argparse.ArgumentParser) -> None:
    """Add ``--work``, ``--force`` and ``--threads``."""
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="where vectors and indexes go (default: ./work)"
    )
    parser.add_argument("--force", action="store_true", help="make it anew even if it is whole and current")
    parser.add_argument(
        "--threads",
        type=positive,
        default=max(1, os.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))),
        metavar="N",
        help="threads (default: all processors; under torchrun, each process's share)",
    )


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add ``--runs``."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where run files go (default: ./runs)"
    )


def add_encoding(parser: argparse.ArgumentParser) -> None:
    """Add ``--scale`` and ``--precision``, which decide what a learned weight is and what it becomes in an index."""
    parser.add_argument(
        "--scale",
        type=float,
        default=256 / 5,
        metavar="X",
        help="impact = round(weight x X) of sparse systems (default: 256/5, Pyserini's)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="exact",
        help="of a SPLADE model's output layer: exact (screened, equal to float32), float32, or bf16 (rounded)",
    )


def add_faiss(parser: argparse.ArgumentParser) -> None:
    """Add ``--faiss``, the kind of index that dense systems get."""
    parser.add_argument(
        "--faiss",
        choices=FAISS_KINDS,
        default="flat",
        help="dense index: flat (exact), float16 (exact over rounded vectors, half the disk), hnsw (approximate graph, in memory)",
    )


def add_query_terms(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-query-terms``."""
    parser.add_argument(
        "--max-query-terms",
        type=positive,
        metavar="N",
        help="search with the N strongest terms of a sparse query only: faster, not exact (default: all)",
    )


def add_bm25(parser: argparse.ArgumentParser) -> None:
    """Add BM25's two parameters, at Anserini's defaults."""
    parser.add_argument("--k1", type=float, default=0.9, help="BM25's k1 (default: 0.9)")
    parser.add_argument("--b", type=float, default=0.4, help="BM25's b (default: 0.4)")


def refuse_foreign(output: Path | None) -> None:
    """Raise InputError for an --output that these commands did not make: replacing it would remove what is in it."""
    if output is None:
        return
    made = output.absolute().with_name(f"{output.absolute().name}.manifest.json").is_file()
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not made):
        raise InputError(f"--output {output}: it exists and was not made here; name a new folder")


def positive(text: str) -> int:
    """Parse a positive integer for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value
