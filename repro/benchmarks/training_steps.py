"""Training steps: this project's max-pooled head beside Sentence Transformers' own modules, on the same
batches.
"""

import itertools
from pathlib import Path

from repro.base.errors import InputError
from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Work

TAKEN = 4
"""Negatives of a query: with the positive, five passages."""
MAX_LENGTH = 128


def contestants(model: Path, data: Path, batch: int, threads: int) -> list[Contestant]:
    """Return both; a turn is one step: forward, backward, optimiser.

    Items are rows: a query with five passages.
    """
    settings = {"model": str(model), "data": str(data), "batch": batch, "threads": threads}
    return [
        Contestant("repro", f"{__name__}:step", {**settings, "stock": False}, ours=True),
        Contestant("SparseEncoder with SpladePooling", f"{__name__}:step", {**settings, "stock": True}),
    ]


def count_rows(data: Path) -> int:
    """Return the number of rows of a folder of parquet files; InputError names one that is damaged."""
    from pyarrow.parquet import read_metadata

    rows = 0
    for path in sorted(data.glob("*.parquet")):
        try:
            rows += read_metadata(path).num_rows
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: not a whole parquet file; make the data again with python -m repro.distill"
            ) from error
    return rows


def step(model: str, data: str, batch: int, threads: int, stock: bool) -> Work:
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
