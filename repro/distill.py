"""Make distillation data: hard negatives from retrievers, margins from a teacher.

    python -m repro.distill --collection sample --split train --teacher dense:all-minilm-l6-v2

Writes parquet parts with the published data's columns: query_id, query, positive, negative_1 ... negative_8, and label, the eight
margins score(query, positive) - score(query, negative_i). The teacher is a cross-encoder (a folder or a Hub name), or a
bi-encoder as dense:<model>. Candidates are what --negatives-from ranks best: systems of the table, or run files.
"""

import argparse
import hashlib
import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import canonical, sha256_file
from repro.base.progress import bar, note, track
from repro.cli.guard import guarded
from repro.cli.options import add_collection, add_work, positive, refuse_foreign
from repro.cli.stages import open_corpus, run_stage
from repro.collections.model import Collection, Document, queries_checksum
from repro.collections.texts import TextStore
from repro.formats.runs import RankedRun
from repro.models.systems import find_system
from repro.training.mining import NEGATIVES, Mined, candidates, mine
from repro.training.teachers import Teacher, find_teacher, load

FORMAT = 1
SAMPLE = 1000
"""Random documents that stand by where a query has too few candidates."""


def main(argv: list[str] | None = None) -> int:
    """Parse, make the data unless they are there, tell where they lie."""
    parser = argparse.ArgumentParser(prog="python -m repro.distill", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--teacher",
        default="cross-encoder/ms-marco-MiniLM-L6-v2",
        help="a cross-encoder (folder or Hub name) or dense:<model> (default: cross-encoder/ms-marco-MiniLM-L6-v2)",
    )
    parser.add_argument(
        "--negatives-from",
        default="bm25",
        metavar="A,B",
        help="systems of the table or run files that rank the candidates (default: bm25)",
    )
    parser.add_argument(
        "--depth", type=positive, default=100, metavar="N", help="candidates of a query (default: 100)"
    )
    parser.add_argument(
        "--positives",
        type=positive,
        default=1,
        metavar="N",
        help="rows of a query, a relevant document each (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=42, help="of the draw of negatives (default: 42)")
    parser.add_argument(
        "--shard-size",
        type=positive,
        default=1024,
        metavar="N",
        help="rows in a part; whole parts are kept when the work is interrupted (default: 1024)",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N queries")
    parser.add_argument(
        "--output", type=Path, help="folder (default: <work>/distilled/<collection>.<teacher>)"
    )
    add_work(parser)
    args = parser.parse_args(argv)
    collection, corpus = open_corpus(args)
    teacher = find_teacher(args.teacher)
    hits = args.depth + max(map(len, collection.qrels().values()), default=0)
    runs = [_run_file(args, name.strip(), hits) for name in args.negatives_from.split(",")]
    name = f"{collection.name}.{teacher.system.name.replace('/', '-')}"
    inputs = {
        "stage": "distill",
        "format": FORMAT,
        "corpus": corpus.sha256,
        "queries": queries_checksum(collection.queries()),
        "qrels": hashlib.sha256(canonical(collection.qrels()).encode()).hexdigest(),
        "teacher": teacher.sha256,
        "runs": [sha256_file(path) for path in runs],
        "depth": args.depth,
        "positives": args.positives,
        "seed": args.seed,
        "limit": args.limit,
        "shard_size": args.shard_size,
    }
    refuse_foreign(args.output)
    artifact = Artifact(args.output or args.work / "distilled" / name, inputs)
    if args.force or not artifact.is_current():
        distill(collection, teacher, [RankedRun(path, hits) for path in runs], artifact, args)
    print(artifact.path)
    return 0


def distill(
    collection: Collection,
    teacher: Teacher,
    runs: list[RankedRun],
    artifact: Artifact,
    args: argparse.Namespace,
) -> None:
    """Mine the negatives of all queries from what runs rank best, have the teacher score them, and write the parts.

    Texts stay on the disk, so memory is that of the rows' ids.
    """
    import pandas

    qrels = collection.qrels()
    queries = [query for query in collection.queries() if query.id in qrels][: args.limit]
    chance = random.Random(args.seed)
    others: list[str] = []
    documents = _sampled(collection.documents(), chance, others)
    with TextStore(artifact.path.with_name(f"{artifact.path.name}.texts"), documents) as texts:
        rows = []
        for query in track(queries, len(queries), "mining", "queries"):
            drawn = chance.sample(others, min(len(others), 4 * NEGATIVES))
            found = candidates(runs, query.id, qrels[query.id], args.depth)
            rows += mine(query.id, qrels[query.id], found, texts, chance, drawn, args.positives)
        if not rows:
            raise InputError(f"{collection.name}: no query has a relevant document and {NEGATIVES} negatives")
        folder = artifact.begin(resume=not args.force)
        names = dict(queries)
        score = None
        with bar(len(rows), f"scoring with {teacher.name}", "rows") as progress:
            for number, part in enumerate(_parts(rows, args.shard_size)):
                path = folder / f"part-{number:05d}.parquet"
                if not path.exists():
                    score = score or load(teacher, args.threads)
                    temporary = path.with_suffix(".tmp")
                    pandas.DataFrame(_scored(part, names, texts, score)).to_parquet(temporary, index=False)
                    temporary.replace(path)
                progress.update(len(part))
    artifact.finish(
        folder,
        teacher=teacher.name,
        collection=collection.name,
        negatives_from=args.negatives_from,
        counts={"rows": len(rows), "queries": len({row.query for row in rows})},
    )
    note(f"{artifact.path}: {len(rows):,} rows of {NEGATIVES} margins by {teacher.name}")


def _sampled(documents: Iterable[Document], chance: random.Random, sample: list[str]) -> Iterator[Document]:
    """Yield the documents that have a text, and put the ids of SAMPLE of them into ``sample`` (Vitter 1985, algorithm R)."""
    for number, document in enumerate(documents):
        if not document.text:
            continue
        if len(sample) < SAMPLE:
            sample.append(document.id)
        elif (place := chance.randrange(number + 1)) < SAMPLE:
            sample[place] = document.id
        yield document


def _scored(
    rows: list[Mined], queries: dict[str, str], texts: Mapping[str, str], score: object
) -> list[dict]:
    pairs = [(queries[row.query], texts[d]) for row in rows for d in (row.positive, *row.negatives)]
    scores = score(pairs).reshape(len(rows), 1 + NEGATIVES)
    return [
        {
            "query_id": row.query,
            "query": queries[row.query],
            "positive": texts[row.positive],
            **{f"negative_{i}": texts[d] for i, d in enumerate(row.negatives, 1)},
            "label": (values[0] - values[1:]).tolist(),
        }
        for row, values in zip(rows, scores)
    ]


def _parts(rows: list[Mined], size: int) -> Iterator[list[Mined]]:
    remaining = iter(rows)
    while part := list(itertools.islice(remaining, size)):
        yield part


def _run_file(args: argparse.Namespace, name: str, hits: int) -> Path:
    """Return a run file that is there, or that of a system, which is made first if it is missing.

    It does not lie beside the reported runs: it has no more documents a query than are needed here.
    """
    if Path(name).is_file():
        return Path(name)
    find_system(name)
    common = ["--collection", args.collection, *(["--split", args.split] if args.split else [])]
    common += ["--system", name, "--work", str(args.work), "--threads", str(args.threads)]
    stages = [
        ["repro.encode"],
        ["repro.index"],
        ["repro.search", "--runs", str(args.work / "distilled" / "runs"), "--hits", str(hits)],
    ]
    for module, *own in stages if find_system(name).kind != "bm25" else stages[1:]:
        printed = run_stage(module, *common, *own)
    return Path(printed)


if __name__ == "__main__":
    sys.exit(guarded(main))
