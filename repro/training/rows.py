"""Distillation rows for the trainer: read from the Hub or parquet, negatives chosen, some held out to choose
the checkpoint.
"""

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.compute

from repro.base.errors import InputError
from repro.training.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = ["query_id", "query", "positive", "negative_1", "label"]
"""What distillation data have at least; the published ones go on to ``negative_8``."""
BM25 = "bm25"
"""The column of BM25's margins, which ``repro.distill --bm25`` writes."""

REST = "rest"
"""The column of what BM25 and the base say of the margins to be learned, by their shares."""

RetrievalTask = tuple[dict[str, str], dict[str, str], dict[str, set[str]]]
"""Queries and passages by id, and each query's relevant passages."""


def read_rows(recipe: Recipe, parquet: Path | None) -> "Dataset":
    """Return the data's rows, shuffled by the recipe's seed and cut to its number.

    They are read from ``parquet``, a file or a folder of them, else from the Hub. InputError if they do not
    load, or a column is missing or holds something else than the published data's.
    """
    from datasets import load_dataset

    source = str(parquet) if parquet else f"the Hub's {recipe.data['hub']}"
    files = parquet_files(parquet) if parquet else None
    try:
        rows = load_dataset("parquet" if files else recipe.data["hub"], data_files=files, split="train")
    except Exception as error:  # the hub's client and the parquet reader raise many unrelated kinds
        reason = str(error.__cause__ or error).strip() or type(error).__name__
        raise InputError(f"{source} does not load as distillation data ({reason.splitlines()[0]})") from error
    if missing := [column for column in COLUMNS if column not in rows.column_names]:
        raise InputError(f"{source}: no column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    if recipe.bm25_share and BM25 not in rows.column_names:
        raise InputError(
            f"{source}: no column {BM25!r}, which recipe {recipe.name} takes a share of; make the data with "
            "python -m repro.distill --bm25, or set bm25_share to 0"
        )
    texts = ["query", *passages_of(rows)]
    _check_texts(rows, texts, source)
    margins = ["label", BM25] if recipe.bm25_share else ["label"]
    for column in margins:
        _check_margins(rows, column, len(texts) - 2, source)
    if max(recipe.negatives) >= len(texts) - 2:
        raise InputError(
            f"recipe {recipe.name}: negatives: expected positions from 0 to {len(texts) - 3}, since {source} "
            f"has {len(texts) - 2} negatives a row, found {recipe.negatives}"
        )
    rows = rows.select_columns(["query_id", *texts, *margins]).shuffle(seed=recipe.seed)
    return rows.select(range(min(recipe.rows or len(rows), len(rows))))


def passages_of(rows: "Dataset") -> list[str]:
    """Return the columns of a row's passages: ``positive``, ``negative_1``, ``negative_2`` ..."""
    numbers = itertools.takewhile(lambda n: f"negative_{n}" in rows.column_names, itertools.count(1))
    return ["positive", *(f"negative_{n}" for n in numbers)]


def parquet_files(path: Path) -> list[str]:
    """Return the files of distillation data that ``path`` is or holds; InputError if there are none."""
    files = sorted(map(str, path.glob("*.parquet"))) if path.is_dir() else [str(path)]
    if not files:
        raise InputError(f"{path}: there are no *.parquet in it; make them with python -m repro.distill")
    return files


def _check_texts(rows: "Dataset", columns: list[str], source: str) -> None:
    """Raise InputError for a column of texts that holds something else, or lacks one."""
    for name in columns:
        column = rows.data.column(name)
        if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
            raise InputError(f"{source}: {name}: expected texts, found {column.type}")
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy())) + 1
            raise InputError(f"{source}: row {row}: {name}: expected a text, found none")


def _check_margins(rows: "Dataset", name: str, negatives: int, source: str) -> None:
    """Raise InputError for the first row that has not as many finite margins in a column as negatives."""
    labels = rows.data.column(name)
    kind = labels.type
    types = pyarrow.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not (lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))):
        raise InputError(f"{source}: {name}: expected lists of {negatives} margins, found {kind}")
    finite = pyarrow.compute.is_finite(pyarrow.compute.list_flatten(labels).cast(pyarrow.float64()))
    numbers = pyarrow.compute.list_value_length(labels).fill_null(0).to_numpy()
    wrong = numbers != negatives
    owners = np.repeat(np.arange(len(numbers)), numbers)
    wrong[owners[~finite.fill_null(False).to_numpy()]] = True
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{source}: row {row + 1}: {name}: expected {negatives} finite margins, "
            f"found {labels[row].as_py()}"
        )


def split(rows: "Dataset", held_out: int) -> tuple["Dataset", "Dataset"]:
    """Return (training rows, held-out rows): the last ``held_out``, and those that share no query and no
    positive with them.

    A passage that several queries ask for would otherwise be learned from one of them and tested by another.
    InputError if no row is left to train on.
    """
    if held_out >= len(rows):
        raise InputError(f"held_out: {held_out:,} of {len(rows):,} rows leave none to train on")
    first = len(rows) - held_out
    aside = rows.select(list(range(first, len(rows))))  # a list may be empty, a range not
    queries, positives = set(aside["query_id"]), set(aside["positive"])
    others = rows.select(range(first))
    pairs = zip(others["query_id"], others["positive"])
    kept = [
        i for i, (query, passage) in enumerate(pairs) if query not in queries and passage not in positives
    ]
    if not kept:
        raise InputError(
            f"held_out: every row shares a query or a positive passage with one of the {held_out:,} held "
            "out; hold fewer out"
        )
    return rows.select(kept), aside


def choose(row: dict[str, Any], recipe: Recipe, scale: float) -> dict[str, Any]:
    """Return a row as the trainer takes it: query, positive, the chosen negatives, the margins to be learned.

    These are the teacher's (``label``) times ``scale``; where the row has a ``rest``, what others than the
    teacher say, its share of them and that. The negatives are ordered by ascending margin
    (hardest first), and the recipe says which positions are taken.
    """
    floor = -math.inf if recipe.margin_floor is None else recipe.margin_floor
    rest, share = row.get(REST), (1 - recipe.bm25_share) * recipe.teacher_share

    def learned(margin: float, i: int) -> float:
        return margin * scale if rest is None else share * margin * scale + rest[i]

    margins = [learned(max(margin, floor), i) for i, margin in enumerate(row["label"])]
    order = sorted(range(len(margins)), key=lambda i: learned(row["label"][i], i))
    taken = [order[position] for position in recipe.negatives]
    negatives = {f"negative_{n}": row[f"negative_{i + 1}"] for n, i in enumerate(taken, 1)}
    label = [margins[i] for i in taken]
    return {"query": row["query"], "positive": row["positive"], **negatives, "label": label}


def training_rows(rows: "Dataset", recipe: Recipe, scale: float) -> "Dataset":
    """Apply ``choose`` to all rows."""
    arguments = {"recipe": recipe, "scale": scale}
    return rows.map(choose, fn_kwargs=arguments, remove_columns=rows.column_names)


def retrieval_task(rows: "Dataset") -> RetrievalTask:
    """Return queries, corpus and relevant documents of held-out rows: each query over all their passages."""
    queries: dict[str, str] = {}
    corpus: dict[str, str] = {}
    relevant: dict[str, set[str]] = {}
    ids: dict[str, str] = {}
    columns = passages_of(rows)
    for row in rows:
        query = str(row["query_id"])
        queries[query] = row["query"]
        for column in columns:
            docid = ids.setdefault(row[column], f"p{len(ids)}")
            corpus[docid] = row[column]
        relevant.setdefault(query, set()).add(ids[row["positive"]])
    return queries, corpus, relevant
