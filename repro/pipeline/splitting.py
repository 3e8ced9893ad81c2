"""A collection's judged queries split into train and test, as a collection of their own."""

import random
from pathlib import Path

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.part_options import SplitOptions
from repro.collections.beir import write_qrels
from repro.collections.model import Qrels, judgments_checksum
from repro.collections.opening import corpus_file

FORMAT = 1
UNEVEN = 0.1
"""Difference from the share asked for, of the queries that are for testing, that is worth a warning."""


def split(source: Path, label: str, qrels: Qrels, options: SplitOptions) -> Artifact:
    """Make a folder in BEIR's layout with links to the texts of ``source`` and ``qrels`` in two; return it.

    A split of other settings than the default has a folder of its own: a model trained on one part of a split
    would know some of the other part of another. InputError if a part, by queries, would be empty.
    """
    files = [*sorted(source.glob("corpus.jsonl*")), *sorted(source.glob("queries.jsonl*"))]
    by_queries = options.by == "queries"
    inputs = {
        "stage": "split",
        "format": FORMAT,
        "texts": [str(path.resolve()) for path in files],
        "qrels": judgments_checksum(qrels),
        "seed": options.seed,
        "test": options.test,
        **({"by": options.by} if by_queries else {}),  # splits by passage were made before there was a choice
    }
    artifact = Artifact(options.work / "split" / _name(label, options), inputs)
    parts = (by_query if by_queries else by_passage)(qrels, options.test, options.seed)
    train, test = parts["train"], parts["test"]
    if by_queries and not (train and test):
        raise InputError(
            f"--by queries --test {options.test:g}: of {len(qrels):,} queries {len(train):,} would be for "
            f"training, {len(test):,} for testing; give a {'larger' if train else 'smaller'} --test"
        )
    with artifact.making():
        if not artifact.is_current():
            folder = artifact.begin()
            for name, path in _texts(source, files).items():
                (folder / name).symlink_to(path)
            for name, judgments in parts.items():
                write_qrels(folder / "qrels" / f"{name}.tsv", judgments)
            artifact.finish(folder, counts={name: len(judgments) for name, judgments in parts.items()})
    note(f"{artifact.path}: {len(train):,} training queries, {len(test):,} test queries")
    share = len(test) / max(1, len(qrels))
    if not by_queries and abs(share - options.test) > UNEVEN:
        note(
            f"warning: {share:.0%} of the queries are for testing, not {options.test:.0%}: queries "
            "that relevant passages link, one by one, stay together; --by queries divides them"
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
    test = _drawn(sorted({root(query) for query in qrels}), share, seed)
    return {
        "train": {q: judged for q, judged in qrels.items() if root(q) not in test},
        "test": {q: judged for q, judged in qrels.items() if root(q) in test},
    }


def by_query(qrels: Qrels, share: float, seed: int) -> dict[str, Qrels]:
    """Return the judgments of ``train`` and ``test``, of which ``test`` gets a ``share`` of the queries.

    A passage may be relevant in both, as in most collections that come with two splits.
    """
    test = _drawn(sorted(qrels), share, seed)
    return {
        "train": {q: judged for q, judged in qrels.items() if q not in test},
        "test": {q: judged for q, judged in qrels.items() if q in test},
    }


def _drawn(ids: list[str], share: float, seed: int) -> set[str]:
    """Return a ``share`` of ``ids``, drawn at random."""
    random.Random(seed).shuffle(ids)
    return set(ids[: round(share * len(ids))])


def _name(label: str, options: SplitOptions) -> str:
    """Return the folder's name: what differs from the default settings follows the collection's label."""
    by = "" if options.by == SplitOptions.by else f".by-{options.by}"
    usual = (options.seed, options.test) == (SplitOptions.seed, SplitOptions.test)
    return f"{label}-split{by}" + ("" if usual else f".seed-{options.seed}.test-{options.test:g}")


def _texts(source: Path, files: list[Path]) -> dict[str, Path]:
    """Return what each file of texts links to, by name; the corpus so that it keeps its label."""
    corpus = corpus_file(source)
    links = {path.name: path.resolve() for path in files}
    return links | ({corpus.name: corpus} if corpus else {})
