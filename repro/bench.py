"""Measure speed beside the peers, on the same work in one run: interleaved, medians of several rounds.

    python -m repro.bench encode --collection msmarco-passage --limit 4096 --json encode.json

encode      passages encoded, beside Sentence Transformers and Pyserini; of a dense model beside Sentence
            Transformers, after its vectors were compared
exactness   every posting beside the plain float32 formula
index       impact vectors indexed, beside Anserini; the two indexes are compared
search      encoded queries searched, beside Pyserini and a sparse matrix product; the rankings are
            compared
retrieve    query texts encoded and searched, beside Pyserini
terms       searching with a query's strongest terms only: speed and effectiveness
            (--max-query-terms of search)
train       training steps, beside Sentence Transformers' own modules (--data: what distill made)
dense       embeddings searched: flat, float16 and HNSW indexes, beside FAISS's index in memory
sparsity    a recipe trained with several weights of its regularisers (--weights): effectiveness and
            active terms
adapt       repro.train --adapt on collections (--collections) beside its base: effectiveness with tests
            of significance, active terms, minutes
scale       indexing and searching at sizes drawn from the collection's distribution (--sizes), and
            evaluating a long run (--queries)
walk        all stages of a SPLADE row at MS MARCO's size (--documents, --queries), of which encoding a part
            (--limit): how long the whole takes
memory      peak memory and seconds of stages at growing sizes: --limit passages, a third and a ninth of them
            encoded; drawn vectors of 768 dimensions (--sizes) indexed and searched
killed      kill -9 at random moments of each stage of a SPLADE row (--kills): what it makes in the end beside
            what it makes undisturbed; on --limit passages encoded and drawn documents (the first of --sizes)

All but encode, exactness, train, sparsity, adapt and memory take what encode and index made in --work. The
result is printed; --readme puts it into its block of README.md or a page in docs/ of the current folder, if
one has it.
"""

import argparse
import sys

from repro.benchmarks.stages import STAGES, benchmark
from repro.cli.bench_options import BenchOptions
from repro.cli.guard import guarded
from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.parsing import add_options, read_options


def main(argv: list[str] | None = None) -> int:
    """Parse, race, print a table; 1 if a result is not what it must equal."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=STAGES, help="what to measure", metavar="STAGE")
    add_options(parser, CollectionOptions, BenchOptions, WorkOptions)
    parsed = parser.parse_args(argv)
    collection, work = read_options(CollectionOptions, parsed), read_options(WorkOptions, parsed)
    result = benchmark(parsed.stage, collection, work, read_options(BenchOptions, parsed))
    return 1 if result.get("differing") else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
