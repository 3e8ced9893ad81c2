"""Training steps: this project's max-pooled head beside Sentence Transformers' own modules, on the same batches."""

import itertools
from collections.abc import Callable
from pathlib import Path

from repro.benchmarks.contest import Contestant

TAKEN = 4
"""Negatives of a query: with the positive, five passages."""
MAX_LENGTH = 128


def contestants(model: str, data: Path, batch: int, threads: int) -> list[Contestant]:
    """Return both; a turn is one step: forward, backward, optimiser. Items are rows: a query with five passages."""
    settings = {"model": model, "data": str(data), "batch": batch, "threads": threads}
    return [
        Contestant("repro", "training_steps:step", {**settings, "stock": False}, ours=True),
        Contestant("SparseEncoder with SpladePooling", "training_steps:step", {**settings, "stock": True}),
    ]


def count_rows(data: Path) -> int:
    """Return the number of rows of a folder of parquet files."""
    from pyarrow.parquet import read_metadata

    return sum(read_metadata(path).num_rows for path in data.glob("*.parquet"))


def step(model: str, data: str, batch: int, threads: int, stock: bool) -> Callable[[], int]:
    """Load model and rows; each call trains on the next batch."""
    import pandas
    import torch
    from sentence_transformers.sparse_encoder.losses import SparseMarginMSELoss, SpladeLoss

    from repro.training.trainer import open_model

    torch.set_num_threads(threads)
    torch.manual_seed(42)
    encoder = open_model(Path(model), MAX_LENGTH, stock, threads).train()
    rows = pandas.concat([pandas.read_parquet(path) for path in sorted(Path(data).glob("*.parquet"))])
    columns = ["query", "positive", *(f"negative_{i}" for i in range(1, TAKEN + 1))]
    starts = itertools.cycle(range(0, len(rows) - batch + 1, batch))
    ranking = SparseMarginMSELoss(encoder)
    loss = SpladeLoss(encoder, ranking, document_regularizer_weight=0.3, query_regularizer_weight=0.5)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=2e-5, fused=True)

    def work() -> int:
        part = rows.iloc[(start := next(starts)) : start + batch]
        features = [encoder.preprocess(list(part[column])) for column in columns]
        labels = torch.tensor([label[:TAKEN] * 30 for label in part["label"]])
        optimiser.zero_grad()
        sum(loss(features, labels).values()).backward()
        optimiser.step()
        return len(part)

    return work
