"""Texts to SPLADE weights, terms and impacts.

The weight of vocabulary term v in a text is max over its tokens t, [CLS] and [SEP] among them, of
log(1 + relu(logit[t, v])) (SPLADE-max, Formal et al. 2021, arXiv:2109.10086). ``rows.py`` computes it.
"""

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from scipy.sparse import csr_matrix
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.compiled.batches import start_streams, start_workers
from repro.compiled.body import CompiledBody, compiles
from repro.models.systems import MAX_LENGTH, own_system, table_systems
from repro.models.weights import resolve
from repro.splade.bypass import ModelBody
from repro.splade.head import MaxPooledHead, choose_method
from repro.splade.loading import bias_of, load_masked_lm, output_layer, terms_of, tokenize
from repro.splade.rows import RowEncoder, in_order, to_matrix
from repro.splade.term_encoder import TermEncoder

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

NO_LIMIT = 2**31 - 1
"""Tokens that a model without embeddings of positions takes."""


class SpladeEncoder(TermEncoder):
    """A SPLADE-max model, ready to encode on ``threads`` cores (default: all), or on a GPU.

    ``model`` is a folder; a name on the Hub, ``owner/model`` or ``owner/model@revision``; a SPLADE system of
    the table, such as ``splade-tiny``; or a ``sentence_transformers.SparseEncoder``, which is copied and
    stays as it is. ``precision`` is exact (the default, equal to float32), float32 or bf16 (see ``head.py``);
    ``device`` is one of torch's (default: a GPU if there is one, or where the SparseEncoder is).

    Raises InputError if the model is nowhere, is no masked language model, or is damaged (``loading.py``);
    ValueError for a SparseEncoder that is no SPLADE-max model.

    Of a text, 512 tokens are kept unless ``encode`` is told otherwise, or a SparseEncoder's own length, [CLS]
    and [SEP] among them; never more than the model has positions.

    Attributes beside those of every ``TermEncoder``: ``method``, how ``precision`` is reached on this
    machine. Tied parameters count once.
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
            start_streams(self.device) if self.device.type == "cuda" else start_workers(self.threads),
        )

    def _encode(self, texts: list[str], max_length: int) -> csr_matrix:
        tokens = tokenize(self.tokenizer, texts, max_length, self.name, len(self.vocabulary))
        return to_matrix(in_order(self._rows.start(tokens), len(texts)), len(self.vocabulary))


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
