"""A collection's judged queries split into train and test, as a collection of their own."""

import hashlib
import random
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.files import canonical
from repro.base.progress import note
from repro.cli.part_options import SplitOptions
from repro.collections.beir import write_qrels
from repro.collections.model import Qrels

FORMAT = 1
UNEVEN = 0.1
"""Difference from the share asked for, of the queries that are for testing, that is worth a warning."""


def split(source: Path, label: str, qrels: Qrels, options: SplitOptions) -> Artifact:
    """Make a folder in BEIR's layout with links to the texts of ``source`` and ``qrels`` in two; return it.

    A split of other settings than the default has a folder of its own: a model trained on one part of a split
    would know some of the other part of another.
    """
    files = [*sorted(source.glob("corpus.jsonl*")), *sorted(source.glob("queries.jsonl*"))]
    inputs = {
        "stage": "split",
        "format": FORMAT,
        "texts": [str(path.resolve()) for path in files],
        "qrels": hashlib.sha256(canonical(qrels).encode()).hexdigest(),
        "seed": options.seed,
        "test": options.test,
    }
    usual = (options.seed, options.test) == (SplitOptions.seed, SplitOptions.test)
    name = f"{label}-split" if usual else f"{label}-split.seed-{options.seed}.test-{options.test:g}"
    artifact = Artifact(options.work / "split" / name, inputs)
    parts = by_passage(qrels, options.test, options.seed)
    with artifact.making():
        if not artifact.is_current():
            folder = artifact.begin()
            for path in files:
                (folder / path.name).symlink_to(path.resolve())
            for name, judgments in parts.items():
                write_qrels(folder / "qrels" / f"{name}.tsv", judgments)
            artifact.finish(folder, counts={name: len(judgments) for name, judgments in parts.items()})
    train, test = parts["train"], parts["test"]
    note(f"{artifact.path}: {len(train):,} training queries, {len(test):,} test queries")
    share = len(test) / max(1, len(qrels))
    if abs(share - options.test) > UNEVEN:
        note(
            f"warning: {share:.0%} of the queries are for testing, not {options.test:.0%}: queries "
            "that relevant passages link, one by one, stay together"
        )
    return artifact


def by_passage(qrels: Qrels, share: float, seed: int) -> dict[str, Qrels]:
    """Return the judgments of ``train`` and ``test``, of which ``test`` gets a ``share`` of the groups.

    Queries that are linked by a relevant passage are of one group and stay together.
    """
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
