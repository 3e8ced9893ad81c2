"""Encode texts into SPLADE impact vectors, in length-sorted batches without gradients.

The weight of vocabulary term v in a text is max over its tokens t, [CLS] and [SEP] among them and padding not, of
log(1 + relu(logit[t, v])) (SPLADE-max, Formal et al. 2021, arXiv:2109.10086).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from repro.data.weights import UNLOADABLE
from repro.errors import InputError

WINDOW = 2048
"""Texts that are sorted by length together."""
BATCH_TOKENS = 2048
"""Tokens, padding counted, in one batch: bounds the tokens x vocabulary logits to 250 MB."""


@dataclass(frozen=True)
class SparseVectors:
    """Weights of a list of texts, row by row: row i has ``terms[starts[i]:starts[i + 1]]``, term ids ascending.

    ``weights`` are float32, as the formula gives them; all are positive.
    """

    starts: np.ndarray
    terms: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the term ids and weights of text ``i``."""
        part = slice(self.starts[i], self.starts[i + 1])
        return self.terms[part], self.weights[part]


class SpladeEncoder:
    """A SPLADE model in a local folder, ready to encode.

    Raises InputError if the folder is no masked language model, or if it lacks a weight of one.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        disable_progress_bar()  # of transformers, for loading weights
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            self.model, loading = AutoModelForMaskedLM.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True
            )
        except UNLOADABLE as error:
            raise InputError(f"{folder} does not load as a masked language model ({error})") from error
        if loading["missing_keys"]:  # transformers would go on with random numbers in their place
            missing = ", ".join(sorted(loading["missing_keys"])[:3])
            raise InputError(f"{folder} lacks weights of its masked-language-model head or body: {missing}")
        self.model.eval()
        self.longest = self.model.config.max_position_embeddings
        self.vocabulary = self.tokenizer.convert_ids_to_tokens(list(range(self.model.config.vocab_size)))

    @property
    def parameters(self) -> int:
        """Number of parameters, tied ones counted once."""
        return sum(p.numel() for p in self.model.parameters())

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], max_length: int = 512) -> SparseVectors:
        """Return the weights of ``texts``, in their order, each cut after ``max_length`` tokens."""
        rows: list[tuple[np.ndarray, np.ndarray]] = [None] * len(texts)
        tokens = self.tokenizer(list(texts), truncation=True, max_length=min(max_length, self.longest))[
            "input_ids"
        ]
        for batch in _batches([len(t) for t in tokens]):
            pooled = self._pool([tokens[i] for i in batch]).numpy()
            for i, weights in zip(batch, pooled):
                terms = np.flatnonzero(weights)
                rows[i] = terms.astype(np.int32), weights[terms]
        starts = np.concatenate([[0], np.cumsum([len(terms) for terms, _ in rows])]).astype(np.int64)
        if not rows:
            return SparseVectors(starts, np.empty(0, np.int32), np.empty(0, np.float32))
        return SparseVectors(
            starts, np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
        )

    def _pool(self, tokens: list[list[int]]) -> torch.Tensor:
        """Return the weights of one batch: texts x vocabulary, float32."""
        padded = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        ids, mask = padded["input_ids"], padded["attention_mask"]
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        # log1p and relu are monotone, so pool first; padding must lose against any logit, and against zero.
        logits.masked_fill_(mask.unsqueeze(-1) == 0, -torch.inf)
        return torch.log1p(torch.relu(logits.amax(dim=1)))


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the positions of texts of like length, at most BATCH_TOKENS padded tokens together, within windows."""
    for start in range(0, len(lengths), WINDOW):
        batch: list[int] = []
        for i in sorted(
            range(start, min(start + WINDOW, len(lengths))), key=lengths.__getitem__, reverse=True
        ):
            if batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS:
                yield batch
                batch = []
            batch.append(i)
        yield batch


def impacts(weights: np.ndarray, scale: float = 256 / 5) -> np.ndarray:
    """Quantise weights to integers, half to even, as ``pyserini.encode``'s SPLADE encoders do at scale 256/5.

    Impacts of 0 are left in; whoever writes vectors drops them.
    """
    if scale == 256 / 5:  # Pyserini's own order of operations, so that the last bit agrees
        return np.rint(weights.astype(np.float64) / 5 * 256).astype(np.int64)
    return np.rint(weights.astype(np.float64) * scale).astype(np.int64)
