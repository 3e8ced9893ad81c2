"""Batches without padding hold every text once, and what nobody waits for any more is not begun."""

import threading

import pytest
import torch

from repro.compiled import windows
from repro.compiled.batches import BATCH_TOKENS, equal_lengths, like_lengths, start, start_workers

LENGTHS = {
    "one longer than a batch": [1000, 500],
    "then many": [1000, *[500] * 300],
    "several longer ones": [900, 1000, 800, 1000, 3, 3, 1],
    "as long as a batch": [BATCH_TOKENS, 1, BATCH_TOKENS],
    "of no token": [0, 5, 0, 7],
    "mixed": [i % 97 + 1 for i in range(500)],
}


@pytest.mark.parametrize("method", [like_lengths, equal_lengths])
@pytest.mark.parametrize("case", LENGTHS)
def test_each_text_is_in_one_batch_that_is_no_larger_than_it_may_be(case, method):
    lengths = LENGTHS[case]
    batches = list(method(lengths))
    positions = [i for batch in batches for part in batch for i in part]
    assert sorted(positions) == [i for i, length in enumerate(lengths) if length]
    for batch in batches:
        tokens = [lengths[i] for part in batch for i in part]
        assert all(batch) and all(len({lengths[i] for i in part}) == 1 for part in batch)
        assert sum(tokens) <= BATCH_TOKENS or len(tokens) == 1


def test_a_long_text_is_a_batch_of_its_own():
    assert list(like_lengths([1000, 500])) == [[[0]], [[1]]]
    assert list(like_lengths([1000, 500, 200, 100])) == [[[0]], [[1], [2]], [[3]]]


class Stuck:
    """Work whose first batch waits until it is let go, and counts what was begun."""

    def __init__(self):
        self.begun, self.first, self.released = [], threading.Event(), threading.Event()

    def __call__(self, batch):
        self.begun.append(len(batch))
        self.first.set()
        assert self.released.wait(60)
        return [float(row[0]) for ids in batch for row in ids]


def one_each(workers, work, tokens):
    return start(workers, work, tokens, [[[i]] for i in range(len(tokens))])


def test_results_come_in_their_batches_order_with_their_positions():
    work = Stuck()
    work.released.set()
    with start_workers(2) as workers:
        found = start(workers, work, [[5], [6], [7, 8]], [[[2]], [[1, 0]]])
        assert list(found) == [(2, 7.0), (1, 6.0), (0, 5.0)]


def test_what_is_cancelled_before_the_first_result_was_asked_for_is_not_begun():
    work = Stuck()
    workers = start_workers(1)
    found = one_each(workers, work, [[1], [2], [3], [4]])
    assert work.first.wait(60)
    found.cancel()
    work.released.set()
    workers.shutdown()
    assert len(work.begun) == 1


def test_an_error_between_windows_leaves_out_those_that_wait(monkeypatch):
    """As Ctrl-C does, while the first window is at work and the second waits for it."""
    monkeypatch.setattr(windows, "WINDOW", 2)
    work, workers, seen = Stuck(), start_workers(1), []

    def preprocess(texts):
        seen.extend(texts)
        if len(seen) > 4:
            assert work.first.wait(60)
            raise KeyboardInterrupt
        return {"input_ids": torch.ones(2, 1, dtype=int), "attention_mask": torch.ones(2, 1, dtype=int)}

    with pytest.raises(KeyboardInterrupt):
        list(windows.encode(["x"] * 6, preprocess, lambda tokens: one_each(workers, work, tokens)))
    work.released.set()
    workers.shutdown()
    assert len(work.begun) == 1
