"""Compare every posting of the encoder with the plain float32 formula, on a whole collection."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase

from repro.splade.encoder import SpladeEncoder
from repro.splade.term_encoder import impacts

BOUNDARY = 1e-4
"""A weight this near to where its impact would round the other way may differ in its sum's last place."""
CHUNK = 512


@dataclass
class Comparison:
    """Counts over all texts. ``excused`` differing postings lie within BOUNDARY of a rounding boundary."""

    texts: int = 0
    postings: int = 0
    near_boundary: int = 0
    excused: int = 0
    differing: int = 0
    largest_difference: float = 0.0


def plain_weights(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, text: str) -> np.ndarray:
    """Return max over tokens of log1p(relu(logits)) of one text, from the model's own full logits."""
    inputs = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
        return torch.log1p(torch.relu(logits)).amax(dim=0).numpy()


def compare(
    folder: Path, texts: Iterable[str], threads: int, precision: str = "exact"
) -> Iterator[Comparison]:
    """Yield the running comparison after each chunk of texts; the last one is the result."""
    encoder = SpladeEncoder(folder, threads, precision, device="cpu")
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
    known = np.array([term != "" for term in encoder.vocabulary])  # rows that pad the layer are no terms
    found, texts = Comparison(), iter(texts)
    while chunk := list(itertools.islice(texts, CHUNK)):
        for text, ours in zip(chunk, encoder.encode(chunk).toarray()):
            _add(found, plain_weights(model, tokenizer, text) * known, ours)
        yield found


def _add(found: Comparison, expected: np.ndarray, ours: np.ndarray) -> None:
    scaled = expected.astype(np.float64) * 256 / 5
    near = np.abs(scaled - np.floor(scaled) - 0.5) * 5 / 256 < BOUNDARY
    differ = impacts(ours) != impacts(expected)
    found.texts += 1
    found.postings += int((impacts(expected) > 0).sum())
    found.near_boundary += int((near & (expected > 0)).sum())
    found.excused += int((differ & near).sum())
    found.differing += int((differ & ~near).sum())
    found.largest_difference = max(found.largest_difference, float(np.abs(ours - expected).max()))
