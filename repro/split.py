"""Split the judged queries of a collection into train and test by passage: no passage is relevant to queries of both.

    python -m repro.split --collection path/to/folder --seed 42

Writes a folder in BEIR's layout below --work whose corpus and queries are links to the collection's, with qrels/train.tsv and
qrels/test.tsv. For adapting a model to a collection that has one split only.
"""

import argparse
import random
import sys
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import remove
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import add_collection
from repro.collections.model import Qrels
from repro.collections.opening import open_collection


def main(argv: list[str] | None = None) -> int:
    """Parse, split, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.split", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument("--seed", type=int, default=42, help="of the draw (default: 42)")
    parser.add_argument(
        "--test", type=float, default=0.5, metavar="SHARE", help="of the passages (default: 0.5)"
    )
    parser.add_argument("--work", type=Path, default=Path("work"), help="where it goes (default: ./work)")
    args = parser.parse_args(argv)
    if not 0 < args.test < 1:
        raise InputError(f"--test {args.test}: expected a share between 0 and 1")
    source = Path(args.collection)
    if not source.is_dir():
        raise InputError(f"--collection {args.collection}: only a folder in BEIR's layout can be split")
    collection = open_collection(args.collection, args.split)
    parts = by_passage(collection.qrels(), args.test, args.seed)
    folder = args.work / "split" / f"{source.resolve().name}-split"
    remove(folder)
    (folder / "qrels").mkdir(parents=True)
    for path in [*source.glob("corpus.jsonl*"), *source.glob("queries.jsonl*")]:
        (folder / path.name).symlink_to(path.resolve())
    for name, qrels in parts.items():
        lines = [f"{q}\t{d}\t{grade}\n" for q, judged in qrels.items() for d, grade in judged.items()]
        text = "query-id\tcorpus-id\tscore\n" + "".join(lines)
        (folder / "qrels" / f"{name}.tsv").write_text(text, encoding="utf-8")
    note(f"{folder}: {len(parts['train']):,} training queries, {len(parts['test']):,} test queries")
    print(folder)
    return 0


def by_passage(qrels: Qrels, share: float, seed: int) -> dict[str, Qrels]:
    """Return the judgments of ``train`` and ``test``; queries that are linked by a relevant passage stay together."""
    group = {query: query for query in qrels}

    def root(query: str) -> str:
        while group[query] != query:
            group[query] = query = group[group[query]]
        return query

    first: dict[str, str] = {}
    for query, judged in qrels.items():
        for docid in (d for d, grade in judged.items() if grade > 0):
            group[root(query)] = root(first.setdefault(docid, query))
    roots = sorted({root(query) for query in qrels})
    random.Random(seed).shuffle(roots)
    test = set(roots[: round(share * len(roots))])
    return {
        "train": {q: judged for q, judged in qrels.items() if root(q) not in test},
        "test": {q: judged for q, judged in qrels.items() if root(q) in test},
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
