"""Distillation rows for the trainer: read from the Hub or parquet, negatives chosen, some held out to choose the checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow
import pyarrow.compute

from repro.base.errors import InputError
from repro.training.mining import NEGATIVES
from repro.training.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

PASSAGES = ["positive", *(f"negative_{i}" for i in range(1, NEGATIVES + 1))]
COLUMNS = ["query_id", "query", *PASSAGES, "label"]

RetrievalTask = tuple[dict[str, str], dict[str, str], dict[str, set[str]]]
"""Queries and passages by id, and each query's relevant passages."""


def read_rows(recipe: Recipe, parquet: Path | None) -> "Dataset":
    """Return the data's rows, shuffled by the recipe's seed and cut to its number; InputError if the columns are others."""
    from datasets import load_dataset

    try:
        if parquet is None:
            rows = load_dataset(recipe.data["hub"], split="train")
        else:
            files = sorted(map(str, parquet.glob("*.parquet"))) if parquet.is_dir() else [str(parquet)]
            rows = load_dataset("parquet", data_files=files, split="train")
    except Exception as error:  # the hub's client and the parquet reader raise many unrelated kinds
        where = parquet or f"the Hub's {recipe.data['hub']}"
        raise InputError(
            f"{where} does not load as distillation data ({str(error).splitlines()[0]})"
        ) from error
    if missing := [column for column in COLUMNS if column not in rows.column_names]:
        raise InputError(
            f"{parquet or recipe.data['hub']}: no column {missing[0]!r}; expected {', '.join(COLUMNS)}"
        )
    _check_labels(rows, str(parquet or recipe.data["hub"]))
    rows = rows.select_columns(COLUMNS).shuffle(seed=recipe.seed)
    return rows.select(range(min(recipe.rows or len(rows), len(rows))))


def _check_labels(rows: "Dataset", name: str) -> None:
    """Raise InputError for the first row that has not as many finite margins as negatives."""
    labels = rows.data.column("label")
    finite = pyarrow.compute.is_finite(pyarrow.compute.list_flatten(labels).cast(pyarrow.float64()))
    numbers = pyarrow.compute.list_value_length(labels).fill_null(0).to_numpy()
    wrong = numbers != NEGATIVES
    owners = np.repeat(np.arange(len(numbers)), numbers)
    wrong[owners[~finite.fill_null(False).to_numpy()]] = True
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{name}: row {row + 1}: label: expected {NEGATIVES} finite margins, found {labels[row].as_py()}"
        )


def split(rows: "Dataset", held_out: int) -> tuple["Dataset", "Dataset"]:
    """Return (training rows, held-out rows): the last ``held_out``, and the others with none of their queries or positives.

    A passage that several queries ask for would otherwise be learned from one of them and tested by another.
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
            f"held_out: every row shares a query or a positive passage with one of the {held_out:,} held out; hold fewer out"
        )
    return rows.select(kept), aside


def choose(row: dict, recipe: Recipe) -> dict:
    """Return a row as the trainer takes it: query, positive, the chosen negatives, their margins.

    The eight are ordered by ascending margin (hardest first); the recipe says which positions are taken.
    """
    order = sorted(range(NEGATIVES), key=lambda i: row["label"][i])
    taken = [order[position] for position in recipe.negatives]
    margins = [max(row["label"][i] * 1.0, recipe.margin_floor) * recipe.margin_scale for i in taken]
    negatives = {f"negative_{n}": row[f"negative_{i + 1}"] for n, i in enumerate(taken, 1)}
    return {"query": row["query"], "positive": row["positive"], **negatives, "label": margins}


def training_rows(rows: "Dataset", recipe: Recipe) -> "Dataset":
    """Apply ``choose`` to all rows."""
    return rows.map(choose, fn_kwargs={"recipe": recipe}, remove_columns=rows.column_names)


def retrieval_task(rows: "Dataset") -> RetrievalTask:
    """Return queries, corpus and relevant documents of held-out rows: each query over all passages of these rows."""
    queries, corpus, relevant = {}, {}, {}
    ids: dict[str, str] = {}
    for row in rows:
        query = str(row["query_id"])
        queries[query] = row["query"]
        for column in PASSAGES:
            docid = ids.setdefault(row[column], f"p{len(ids)}")
            corpus[docid] = row[column]
        relevant.setdefault(query, set()).add(ids[row["positive"]])
    return queries, corpus, relevant
