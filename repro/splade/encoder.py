"""Texts to SPLADE weights, terms and impacts.

The weight of vocabulary term v in a text is max over its tokens t, [CLS] and [SEP] among them, of
log(1 + relu(logit[t, v])) (SPLADE-max, Formal et al. 2021, arXiv:2109.10086). ``rows.py`` computes it.
"""

import copy
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.models.systems import MAX_LENGTH, own_system, table_systems
from repro.models.weights import resolve
from repro.splade.body import CompiledBody, ModelBody, compiles
from repro.splade.head import MaxPooledHead, choose_method
from repro.splade.loading import bias_of, load_masked_lm, output_layer, terms_of, tokenize
from repro.splade.rows import RowEncoder, in_order, start_workers, to_matrix

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

CHUNK = 8192
"""Texts whose tokens are held at a time."""
SCALE = 256 / 5
"""An impact of a weight of 1: Pyserini's."""
NO_LIMIT = 2**31 - 1
"""Tokens that a model without embeddings of positions takes."""


class SpladeEncoder:
    """A SPLADE-max model, ready to encode on ``threads`` cores (default: all), or on a GPU.

    ``model`` is a folder; a name on the Hub, ``owner/model`` or ``owner/model@revision``; a SPLADE system of
    the table, such as ``splade-tiny``; or a ``sentence_transformers.SparseEncoder``, which is copied and
    stays as it is. ``precision`` is exact (the default, equal to float32), float32 or bf16 (see ``head.py``);
    ``device`` is one of torch's (default: a GPU if there is one, or where the SparseEncoder is).

    Raises InputError if the model is nowhere, is no masked language model, or is damaged (``loading.py``);
    ValueError for a SparseEncoder that is no SPLADE-max model.

    Attributes: ``vocabulary``, the term of each column, empty for ids without a token, to which no text gives
    a weight; ``parameters``, their number, tied ones counted once; ``max_length``, tokens kept of a text
    unless ``encode`` is told otherwise; ``method``, how ``precision`` is reached on this machine.
    """

    def __init__(
        self,
        model: "str | Path | SparseEncoder",
        threads: int | None = None,
        precision: str = "exact",
        device: str | None = None,
    ) -> None:
        disable_progress_bar()  # of transformers, for loading weights
        self.max_length = MAX_LENGTH
        if isinstance(model, str | Path):
            self.name = str(model)
            folder = model if isinstance(model, Path) else locate(model)
            self.tokenizer, body = load_masked_lm(folder)
            self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        else:
            self.name = "the SparseEncoder"
            self.tokenizer, body = _copied(model)
            self.device = torch.device(device or model.device)
            self.max_length = min(model.max_seq_length or NO_LIMIT, NO_LIMIT)
        self.parameters = sum(p.numel() for p in body.parameters())
        self.longest = getattr(body.config, "max_position_embeddings", NO_LIMIT)
        output = output_layer(body, self.name)
        self.vocabulary = terms_of(self.tokenizer, output.out_features)
        cast(nn.Module, body).to(self.device)
        self.method = choose_method(precision, output.in_features, self.device)
        self.threads = (threads or os.cpu_count() or 1) if self.device.type == "cpu" else 1
        self._rows = RowEncoder(
            CompiledBody(body) if compiles(body) else ModelBody(body),
            MaxPooledHead(output.weight, bias_of(output, self.vocabulary), self.method),
            start_workers(self.threads),
        )

    def encode(self, texts: Iterable[str], max_length: int | None = None, prefix: str = "") -> csr_matrix:
        """Return the weights of ``texts``: float32, texts x vocabulary, positive, term ids ascending.

        ``prefix`` is put before each text; ``max_length`` tokens are kept of both, [CLS] and [SEP] among them
        (default: 512, or a SparseEncoder's own length; never more than the model has positions).

        TypeError for one text that is not in a list; InputError if the tokenizer cannot take a text, or gives
        it a token that the model does not have.
        """
        parts = list(self.encode_batches(texts, max_length, prefix))
        if len(parts) == 1:
            return parts[0]
        return vstack(parts, format="csr") if parts else to_matrix([], len(self.vocabulary))

    def encode_batches(
        self, texts: Iterable[str], max_length: int | None = None, prefix: str = "", size: int = CHUNK
    ) -> Iterator[csr_matrix]:
        """Yield what ``encode`` returns, for ``size`` texts at a time: a corpus need not fit into memory."""
        if isinstance(texts, str):
            raise TypeError("texts: expected a list or another iterable of strings, found one string")
        length, texts = min(max_length or self.max_length, self.longest), iter(texts)
        while chunk := [prefix + text for text in itertools.islice(texts, size)]:
            tokens = tokenize(self.tokenizer, chunk, length, self.name, len(self.vocabulary))
            rows = in_order(self._rows.start(tokens), len(chunk))
            yield to_matrix(rows, len(self.vocabulary))

    def decode(self, vectors: csr_matrix, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """Return each row's terms with their weights, strongest first, the ``top_k`` strongest of them."""
        return decoded(vectors, self.vocabulary, top_k)

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
        return impacts_of(vectors, self.vocabulary, scale)


def decoded(
    vectors: csr_matrix, vocabulary: Sequence[str], top_k: int | None = None
) -> list[list[tuple[str, float]]]:
    """Return each row's terms with their weights, strongest first, the ``top_k`` strongest of them."""
    rows = []
    for start, end in pairwise(vectors.indptr):
        order = start + np.argsort(-vectors.data[start:end], kind="stable")[:top_k]
        terms, weights = vectors.indices[order].tolist(), vectors.data[order].tolist()
        rows.append([(vocabulary[term], weight) for term, weight in zip(terms, weights)])
    return rows


def impacts_of(vectors: csr_matrix, vocabulary: Sequence[str], scale: float) -> Iterator[dict[str, int]]:
    """Yield each row of weights as {term: impact}, impacts from 1 up."""
    quantised = impacts(vectors.data, scale)
    for start, end in pairwise(vectors.indptr):
        pairs = zip(vectors.indices[start:end].tolist(), quantised[start:end].tolist())
        yield {vocabulary[term]: impact for term, impact in pairs if impact >= 1}


def impacts(weights: np.ndarray, scale: float = SCALE) -> np.ndarray:
    """Quantise weights to integers, half to even, as ``pyserini.encode``'s SPLADE encoders do at scale 256/5.

    Impacts of 0 are left in; whoever writes vectors drops them.
    """
    if scale == SCALE:  # Pyserini's own order of operations, so that the last bit agrees
        return np.rint(weights.astype(np.float64) / 5 * 256).astype(np.int64)
    return np.rint(weights.astype(np.float64) * scale).astype(np.int64)


def locate(model: str) -> Path:
    """Return the folder of a named model; InputError if there is none."""
    system = table_systems().get(model) or own_system("splade", model, f"SpladeEncoder({model!r})")
    if system.kind != "splade":
        raise InputError(f"{model} is no SPLADE model but a system of the kind {system.kind}")
    return resolve(system).path


def _copied(model: "SparseEncoder") -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return copies of a SPLADE-max model's tokenizer and masked language model, in float32."""
    from repro.splade.sparse_encoder import check_logits, splade_max

    parts = splade_max(model)
    check_logits(parts)
    tokenizer = cast(PreTrainedTokenizerBase, parts.transformer.tokenizer)
    return copy.deepcopy(tokenizer), copy.deepcopy(parts.masked_lm).float().eval()
