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
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from repro.command import add_collection, add_work, guarded, positive, refuse_foreign
from repro.data.artifacts import Artifact, canonical, sha256_file
from repro.data.collection import Collection, queries_checksum
from repro.data.runs import read_best
from repro.data.systems import find_system
from repro.errors import InputError
from repro.planning import open_corpus
from repro.progress import bar, note
from repro.training.mining import NEGATIVES, Mined, candidates, mine
from repro.training.teachers import Teacher, find_teacher, load

FORMAT = 1


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
        distill(collection, teacher, [read_best(path, hits) for path in runs], artifact, args)
    print(artifact.path)
    return 0


def distill(
    collection: Collection,
    teacher: Teacher,
    runs: list[dict[str, list[str]]],
    artifact: Artifact,
    args: argparse.Namespace,
) -> None:
    """Mine the negatives of all queries from what runs rank best, have the teacher score them, and write the parts."""
    import pandas

    qrels = collection.qrels()
    queries = [query for query in collection.queries() if query.id in qrels][: args.limit]
    found = {q.id: candidates(runs, q.id, qrels[q.id], args.depth) for q in queries}
    rows, texts = _mined(collection, queries, qrels, found, args)
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


def _mined(
    collection: Collection, queries: list, qrels: dict, found: dict[str, list[str]], args: argparse.Namespace
) -> tuple[list[Mined], dict[str, str]]:
    """Return the rows, and the texts of the documents that they name and that were candidates."""
    chance = random.Random(args.seed)
    needed = {d for query in queries for d in (*found[query.id], *qrels[query.id])}
    texts, others = {}, []
    for number, document in enumerate(collection.documents()):
        if document.text and document.id in needed:
            texts[document.id] = document.text
        if document.text and len(others) < 1000:  # a sample of all documents, by Vitter's algorithm R
            others.append((document.id, document.text))
        elif document.text and (place := chance.randrange(number + 1)) < 1000:
            others[place] = (document.id, document.text)
    fill = dict(others)
    texts = {**fill, **texts}
    rows = []
    for query in queries:
        drawn = chance.sample(list(fill), min(len(fill), 4 * NEGATIVES))
        rows += mine(query.id, qrels[query.id], found[query.id], texts, chance, drawn, args.positives)
    return rows, texts


def _scored(rows: list[Mined], queries: dict[str, str], texts: dict[str, str], score: object) -> list[dict]:
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
    for stage in stages if find_system(name).kind != "bm25" else stages[1:]:
        command = [sys.executable, "-m", stage[0], *common, *stage[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise InputError(f"{stage[0]} of {name} ended with exit code {done.returncode} (see above)")
    return Path(done.stdout.strip())


if __name__ == "__main__":
    sys.exit(guarded(main))
