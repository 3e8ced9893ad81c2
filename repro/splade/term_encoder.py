"""What encoders of texts to weights of terms have in common, and the impacts that an index has of them."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, vstack

CHUNK = 8192
"""Texts whose tokens are held at a time."""
SCALE = 256 / 5
"""An impact of a weight of 1: Pyserini's."""


class TermEncoder(ABC):
    """Texts to weights of the terms of a vocabulary.

    Attributes: ``vocabulary``, the term of each column, empty for ids without a token, to which no text gives
    a weight; ``parameters``, their number; ``max_length``, tokens kept of a text unless ``encode`` is told
    otherwise; ``longest``, how many can be kept at most.
    """

    vocabulary: list[str]
    parameters: int
    max_length: int
    longest: int

    def encode(self, texts: Iterable[str], max_length: int | None = None, prefix: str = "") -> csr_matrix:
        """Return the weights of ``texts``: float32, texts x vocabulary, positive, term ids ascending.

        ``prefix`` is put before each text; ``max_length`` tokens are kept of both (default: the encoder's
        own; never more than ``longest``).

        TypeError for one text that is not in a list; InputError if the tokenizer cannot take a text, or gives
        it a token that the model does not have.
        """
        parts = list(self.encode_batches(texts, max_length, prefix))
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        return vstack(parts, format="csr")

    def encode_batches(
        self, texts: Iterable[str], max_length: int | None = None, prefix: str = "", size: int = CHUNK
    ) -> Iterator[csr_matrix]:
        """Yield what ``encode`` returns, for ``size`` texts at a time: a corpus need not fit into memory."""
        if isinstance(texts, str):
            raise TypeError("texts: expected a list or another iterable of strings, found one string")
        length, texts = min(max_length or self.max_length, self.longest), iter(texts)
        while chunk := [prefix + text for text in itertools.islice(texts, size)]:
            yield self._encode(chunk, length)

    @abstractmethod
    def _encode(self, texts: list[str], max_length: int) -> csr_matrix:
        """Return the weights of texts, prefixes in front; ``max_length`` tokens are kept of each."""

    def decode(self, vectors: csr_matrix, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """Return each row's terms with their weights, strongest first, the ``top_k`` strongest of them."""
        rows = []
        for start, end in pairwise(vectors.indptr):
            order = start + np.argsort(-vectors.data[start:end], kind="stable")[:top_k]
            terms, weights = vectors.indices[order].tolist(), vectors.data[order].tolist()
            rows.append([(self.vocabulary[term], weight) for term, weight in zip(terms, weights)])
        return rows

    def impacts(
        self, texts: Iterable[str], max_length: int | None = None, prefix: str = "", scale: float = SCALE
    ) -> Iterator[dict[str, int]]:
        """Yield each text as {term: impact}, as an index takes it: impacts are round(weight x scale), from
        1 up. As ``encode_batches``, texts are read as they are needed.
        """
        for vectors in self.encode_batches(texts, max_length, prefix):
            yield from self.impact_vectors(vectors, scale)

    def impact_vectors(self, vectors: csr_matrix, scale: float = SCALE) -> Iterator[dict[str, int]]:
        """Yield each row of what ``encode`` returned as {term: impact} (see ``impacts``)."""
        quantised = impacts(vectors.data, scale)
        for start, end in pairwise(vectors.indptr):
            pairs = zip(vectors.indices[start:end].tolist(), quantised[start:end].tolist())
            yield {self.vocabulary[term]: impact for term, impact in pairs if impact >= 1}


def impacts(weights: np.ndarray, scale: float = SCALE) -> np.ndarray:
    """Quantise weights to integers, half to even, as ``pyserini.encode``'s SPLADE encoders do at scale 256/5.

    Impacts of 0 are left in; whoever writes vectors drops them.
    """
    if scale == SCALE:  # Pyserini's own order of operations, so that the last bit agrees
        return np.rint(weights.astype(np.float64) / 5 * 256).astype(np.int64)
    return np.rint(weights.astype(np.float64) * scale).astype(np.int64)
