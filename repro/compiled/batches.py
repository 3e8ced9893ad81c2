"""Batches of texts in which nothing is padded, and the threads that work on them."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")
Tokens = Sequence[Sequence[int] | np.ndarray]
"""The token ids of texts."""

BATCH_TOKENS = 768
"""Tokens in a batch on a CPU: the activations of one layer stay near a core's cache."""


def start_workers(threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads each compute on one core."""
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


def start_streams(device: torch.device) -> ThreadPoolExecutor:
    """Return a pool of two threads that each compute on a stream of their own of a GPU: while one waits for
    its results, the other's batch is computed.
    """
    torch.cuda.synchronize(device)  # weights are there before another stream reads them
    return ThreadPoolExecutor(2, initializer=lambda: torch.cuda.set_stream(torch.cuda.Stream(device)))


def start(
    workers: ThreadPoolExecutor,
    encode: Callable[[list[np.ndarray]], Sequence[T]],
    tokens: Tokens,
    batches: Iterable[list[list[int]]],
) -> "Results[T]":
    """Let the workers begin on texts, and return their results as they come: (position, result).

    ``batches`` are the positions of texts, those of equal length in a list each. ``encode`` takes a batch,
    for each such list its ids, int64, texts x tokens, and returns a result for each text. They come in an
    order of their own.
    """
    batches = list(batches)

    def work(batch: list[list[int]]) -> Sequence[T]:
        return encode([np.array([tokens[i] for i in positions], np.int64) for positions in batch])

    return Results([(batch, workers.submit(work, batch)) for batch in batches])


class Results(Iterator[tuple[int, T]]):
    """(position, result) of texts, batch after batch as workers finish them.

    An error ends it, and ``cancel`` leaves out what no worker has begun, also before the first result was
    asked for: a pool waits for what is left in it.
    """

    def __init__(self, started: list[tuple[list[list[int]], Future[Sequence[T]]]]) -> None:
        self._started = deque(started)
        self._pairs = self._finished()

    def __next__(self) -> tuple[int, T]:
        return next(self._pairs)

    def _finished(self) -> Iterator[tuple[int, T]]:
        try:
            while self._started:
                batch, encoded = self._started[0]  # which stays there while it is waited for
                yield from zip(chain(*batch), encoded.result())
                self._started.popleft()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Leave out the batches that no worker has begun."""
        for _, encoded in self._started:
            encoded.cancel()


def equal_lengths(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[list[int]]]:
    """Yield the positions of texts of one length, longest first, at most ``batch_tokens`` tokens together.

    Texts without a token, which a tokenizer without [CLS] and [SEP] makes of nothing, are in none.
    """
    for length, positions in _by_length(lengths):
        size = max(1, batch_tokens // length)
        yield from ([positions[first : first + size]] for first in range(0, len(positions), size))


def like_lengths(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[list[int]]]:
    """The same of texts of several lengths, those of one length in a list: batches are full where few texts
    have the same length.
    """
    batch: list[list[int]] = []
    left = batch_tokens
    for length, positions in _by_length(lengths):
        while positions:
            size = max(0, left // length) if batch else max(1, left // length)  # one may be longer than all
            if size:
                batch.append(positions[:size])
                left -= length * len(batch[-1])
                positions = positions[size:]
            if positions:  # the batch is full
                yield batch
                batch, left = [], batch_tokens
    if batch:
        yield batch


def _by_length(lengths: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Return lengths from 1 up, longest first, each with the positions that have it."""
    found = defaultdict(list)
    for i, length in enumerate(lengths):
        if length:
            found[length].append(i)
    return sorted(found.items(), reverse=True)
