"""Encode texts into SPLADE weights: batches of equal length without padding, one worker thread a core.

The weight of vocabulary term v in a text is max over its tokens t, [CLS] and [SEP] among them, of
log(1 + relu(logit[t, v])) (SPLADE-max, Formal et al. 2021, arXiv:2109.10086). ``body.py`` has the layers up
to the output layer, ``head.py`` the output layer.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.weights import UNLOADABLE
from repro.splade.body import CompiledBody, ModelBody, compiles
from repro.splade.head import MaxPooledHead, Row, choose_method
from repro.splade.loading import bias_of, load_masked_lm, output_layer, terms_of

# oneDNN keeps a compiled primitive for each shape that it met, a thousand of them by default; batches here
# come in many shapes, and memory would grow with the collection. Read at the first product, not at import.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

BATCH_TOKENS = 768
"""Tokens in a batch on a CPU: the activations of one layer stay near a core's cache."""
CUDA_BATCH_TOKENS = 32_768
NO_LIMIT = 2**31 - 1
"""Tokens that a model without embeddings of positions takes."""


@dataclass(frozen=True)
class SparseVectors:
    """Weights of a list of texts: row i has ``terms[starts[i]:starts[i + 1]]``, term ids ascending.

    ``weights`` are float32, as the formula gives them; all are positive.
    """

    starts: np.ndarray
    terms: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, i: int) -> Row:
        """Return the term ids and weights of text ``i``."""
        part = slice(self.starts[i], self.starts[i + 1])
        return self.terms[part], self.weights[part]


class SpladeEncoder:
    """A SPLADE model in a local folder, ready to encode on ``threads`` cores (default: all), or on a GPU.

    ``precision`` is exact, float32 or bf16 (see ``head.py``); ``method`` tells how it is reached on this
    machine. Raises InputError if the folder is no masked language model, or is damaged (``loading.py``).
    """

    def __init__(
        self, folder: Path, threads: int | None = None, precision: str = "exact", device: str | None = None
    ) -> None:
        disable_progress_bar()  # of transformers, for loading weights
        self.folder = folder
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.threads = (threads or os.cpu_count() or 1) if self.device.type == "cpu" else 1
        self.tokenizer, model = load_masked_lm(folder)
        self.parameters = sum(p.numel() for p in model.parameters())
        """Number of parameters, tied ones counted once."""
        self.longest = getattr(model.config, "max_position_embeddings", NO_LIMIT)
        output = output_layer(model, folder)
        self.vocabulary = terms_of(self.tokenizer, output.out_features)
        """The term of each id; empty for ids without a token, to which no text gives a weight."""
        self.workers = ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))
        cast(nn.Module, model).to(self.device)
        self.method = choose_method(precision, output.in_features, self.device)
        self.head = MaxPooledHead(output.weight, bias_of(output, self.vocabulary), self.method)
        self.body = CompiledBody(model) if compiles(model) else ModelBody(model)

    def encode(self, texts: Sequence[str], max_length: int = 512) -> SparseVectors:
        """Return the weights of ``texts``, in their order, each cut after ``max_length`` tokens.

        InputError if the tokenizer cannot take a text, or gives it a token that the model does not have.
        """
        rows: list[Row] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(texts)
        tokens = self._tokenize(texts, min(max_length, self.longest))
        batches = list(_batches([len(t) for t in tokens], self._batch_tokens()))
        encoded = self.workers.map(self._encode_batch, ([tokens[i] for i in batch] for batch in batches))
        for batch, found in zip(batches, encoded):
            for i, row in zip(batch, found):
                rows[i] = row
        starts = np.concatenate([[0], np.cumsum([len(terms) for terms, _ in rows])]).astype(np.int64)
        if not rows:
            return SparseVectors(starts, np.empty(0, np.int32), np.empty(0, np.float32))
        return SparseVectors(
            starts, np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
        )

    def impact_vectors(self, encoded: SparseVectors, scale: float = 256 / 5) -> Iterator[dict[str, int]]:
        """Yield each text's vector as {term: impact}, impacts from 1 up (see ``impacts``)."""
        quantised = impacts(encoded.weights, scale)
        for start, end in pairwise(encoded.starts):
            pairs = zip(encoded.terms[start:end].tolist(), quantised[start:end].tolist())
            yield {self.vocabulary[term]: impact for term, impact in pairs if impact >= 1}

    def _encode_batch(self, tokens: list[list[int]]) -> list[Row]:
        ids = np.array(tokens, np.int64)
        if ids.max() >= len(self.vocabulary):
            raise InputError(
                f"{self.folder}: the tokenizer gives id {ids.max()}, but the model has "
                f"{len(self.vocabulary)} embeddings; the two do not belong together"
            )
        return self.head.pool(self.body(ids))

    def _tokenize(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        if not texts:  # which transformers' tokenizers do not take
            return []
        try:
            found = self.tokenizer(
                list(texts), truncation=True, max_length=max_length, return_attention_mask=False
            )
        except UNLOADABLE as error:  # without [UNK], tokenizers raises a bare Exception for an unknown word
            raise InputError(
                f"{self.folder}: the tokenizer cannot take a text ({first_line(error)}); complete its files"
            ) from error
        return found["input_ids"]

    def _batch_tokens(self) -> int:
        return BATCH_TOKENS if self.device.type == "cpu" else CUDA_BATCH_TOKENS


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield the positions of texts of one length, longest first, at most ``batch_tokens`` tokens together.

    Texts without a token, which a tokenizer without [CLS] and [SEP] makes of nothing, are in none.
    """
    by_length = defaultdict(list)
    for i, length in enumerate(lengths):
        if length:
            by_length[length].append(i)
    for length in sorted(by_length, reverse=True):
        size = max(1, batch_tokens // length)
        positions = by_length[length]
        yield from (positions[start : start + size] for start in range(0, len(positions), size))


def impacts(weights: np.ndarray, scale: float = 256 / 5) -> np.ndarray:
    """Quantise weights to integers, half to even, as ``pyserini.encode``'s SPLADE encoders do at scale 256/5.

    Impacts of 0 are left in; whoever writes vectors drops them.
    """
    if scale == 256 / 5:  # Pyserini's own order of operations, so that the last bit agrees
        return np.rint(weights.astype(np.float64) / 5 * 256).astype(np.int64)
    return np.rint(weights.astype(np.float64) * scale).astype(np.int64)
