"""Texts as Sentence Transformers tokenises them, some hundred at a time, and without their padding."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from repro.compiled.batches import Results, Tokens

T = TypeVar("T")

WINDOW = 512
"""Texts that are tokenised together."""
AHEAD = 2
"""Windows that wait, tokenised, while the workers are busy."""
PLAIN = {
    *("input_ids", "attention_mask", "token_type_ids", "modality", "prompt_length"),
    *("token_embeddings", "sentence_embedding"),
}
"""Features of tokenised texts, and results; with others, a model computes something else."""


class NotPlainError(ValueError):
    """Inputs of which a model computes something else than of the tokens of plain texts."""


def token_counts(features: dict[str, Any]) -> np.ndarray | None:
    """Return the number of tokens of each text; None if they are no plain texts, padded on the right."""
    mask, types = features.get("attention_mask"), features.get("token_type_ids")
    if mask is None or mask.ndim != 2 or not mask.numel() or set(features) - PLAIN:
        return None
    if features.get("modality", "text") != "text" or (types is not None and types.any()):
        return None
    if not mask[:, 0].all() or (mask[:, 1:] > mask[:, :-1]).any():
        return None
    return mask.sum(dim=1).cpu().numpy()


def unpadded(features: dict[str, Any], counts: np.ndarray) -> list[np.ndarray]:
    """Return the token ids of each text."""
    return [ids[:count] for ids, count in zip(features["input_ids"].numpy(), counts)]


def encode(
    texts: Sequence[Any],
    preprocess: Callable[[list[str]], dict[str, Any]],
    start: Callable[[Tokens], Results[T]],
) -> Iterator[tuple[int, T]]:
    """Yield (position, result) of every text, in no particular order, long texts first.

    ``preprocess`` makes features of texts, as a SentenceTransformer's method does; ``start`` begins on their
    token ids and returns the results as they come. NotPlainError if a text is no string, or its features are
    not those of one. Whatever ends it early, what no worker has begun is left out.
    """
    if not all(isinstance(text, str) for text in texts):
        raise NotPlainError("expected strings")
    started: deque[tuple[np.ndarray, Results[T]]] = deque()
    order = np.argsort([-len(text) for text in texts], kind="stable")
    try:
        for first in range(0, len(order), WINDOW):
            window = order[first : first + WINDOW]
            features = preprocess([texts[i] for i in window])
            if (counts := token_counts(features)) is None:
                raise NotPlainError("expected tokens, padded on the right")
            started.append((window, start(unpadded(features, counts))))
            if len(started) > AHEAD:
                yield from _finished(started)
        while started:
            yield from _finished(started)
    finally:
        for _, results in started:
            results.cancel()


def _finished(started: deque[tuple[np.ndarray, Results[T]]]) -> Iterator[tuple[int, T]]:
    """Yield the first window's results, and drop it."""
    window, results = started[0]
    for i, result in results:
        yield int(window[i]), result
    started.popleft()
