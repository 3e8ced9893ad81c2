"""The max-pooled head with a gradient, for training.

Only the token that won a term's maximum, and only where the maximum is positive, gets a gradient; so the
forward pass keeps that token's number, and the backward pass gathers and scatters a few hundred rows a text:

    y[i, v] = relu(max_t h[i, t] . w[v] + b[v]),   t*(i, v) the winner,   g = dL/dy where y > 0
    dL/dh[i, t] = sum over v with t*(i, v) = t of g[i, v] w[v]
    dL/dw[v] = sum over i of g[i, v] h[i, t*(i, v)]

The forward pass screens (``head.py``) where that pays, else it walks all terms block by block. The tokens x
vocabulary tensor never exists, in either direction.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from repro.compiled.batches import start_workers
from repro.splade.bypass import hidden_states
from repro.splade.head import MaxPooledHead, choose_method
from repro.splade.screening import blocks

GROUP_TOKENS = 4096
"""Tokens, padding included, that go through the body together on a CPU: texts of like length."""
CUDA_GROUPS = 4
"""Parts of a batch on a GPU, by length."""
KEPT_BYTES = 2**30
"""Activations of the body that a batch keeps for the backward pass on a CPU; others are computed again."""
BYTES_PER_STATE = 100
"""What a layer of BERT keeps for the backward pass, a dimension of a token: some 25 float32 numbers."""
GATHERED = 2**18
"""Rows that the backward pass gathers at a time."""


class Winners(NamedTuple):
    """Positive maxima: text, term and winning token of each (int64), and its logit (float32)."""

    texts: Tensor
    terms: Tensor
    tokens: Tensor
    logits: Tensor


class _MaxPool(torch.autograd.Function):
    """The relu of max-pooled logits, texts x vocabulary, of hidden states, texts x tokens x d."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        lengths: Tensor,
        find: Callable[[Tensor, Tensor], Winners],
    ) -> Tensor:
        won = find(hidden.detach(), lengths)
        ctx.save_for_backward(hidden, weight, won.texts, won.terms, won.tokens)
        pooled = torch.zeros(len(hidden), len(weight), device=hidden.device)
        pooled[won.texts, won.terms] = won.logits
        return pooled

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, texts, terms, tokens = cast(Any, ctx).saved_tensors  # which torch's own type lacks
        received = gradient[texts, terms]
        flat = hidden.reshape(-1, hidden.shape[2])
        rows = texts * hidden.shape[1] + tokens
        to_hidden, to_weight = torch.zeros_like(flat), torch.zeros_like(weight)
        for start in range(0, len(rows), GATHERED):
            part = slice(start, start + GATHERED)
            row, term, share = rows[part], terms[part], received[part, None]
            to_hidden.index_add_(0, row, (share * weight[term]).to(to_hidden.dtype))
            to_weight.index_add_(0, term, (share * flat[row]).to(to_weight.dtype))
        to_bias = torch.zeros(len(weight), device=weight.device).index_add_(0, terms, received)
        return to_hidden.view_as(hidden), to_weight, to_bias, None, None


class TrainableHead:
    """The output layer of a masked language model, pooled and differentiable; parameters stay the model's."""

    def __init__(self, layer: nn.Linear, threads: int | None = None) -> None:
        self.layer = layer
        self.threads = threads or os.cpu_count() or 1
        self.workers = start_workers(self.threads)
        self._screen: tuple[tuple[int, ...], MaxPooledHead] | None = None

    def pool(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Return SPLADE weights, texts x vocabulary (float32), of padded hidden states.

        hidden: texts x tokens x d; lengths counts each text's tokens.
        """
        weight, bias = self.layer.weight, self.layer.bias
        pooled = _MaxPool.apply(hidden, weight, bias, lengths, self._winners)
        return torch.log1p(pooled)

    def _winners(self, hidden: Tensor, lengths: Tensor) -> Winners:
        method = choose_method("exact", hidden.shape[2], hidden.device)
        if hidden.device.type == "cpu" and method == "int8 screening":
            return self._screened(hidden.float(), lengths)
        return self._blocked(hidden, lengths)

    def _screened(self, hidden: Tensor, lengths: Tensor) -> Winners:
        """Screen in int8 what could be positive, then compute that in float32, on all workers."""
        head = self._quantised()
        texts = [(i, hidden[i, :length].contiguous()) for i, length in enumerate(lengths.tolist())]
        parts = [texts[start :: self.threads] for start in range(self.threads)]
        weight, bias = self.layer.weight.detach(), self.layer.bias.detach()

        def work(part: list[tuple[int, Tensor]]) -> list[Winners]:
            found = []
            for i, states in part:
                terms = torch.from_numpy(head.candidates(states)).long()
                logits, tokens = (states @ weight[terms].T).max(dim=0)
                logits = logits + bias[terms]
                keep = logits > 0
                terms = terms[keep]
                found.append(Winners(torch.full_like(terms, i), terms, tokens[keep], logits[keep]))
            return found

        found = [winners for part in self.workers.map(work, parts) for winners in part]
        return Winners(*(torch.cat(column) for column in zip(*found)))

    def _blocked(self, hidden: Tensor, lengths: Tensor) -> Winners:
        """Compute all terms, a block at a time, in the precision that autocast asks for."""
        texts, length, d = hidden.shape
        padding = torch.arange(length, device=hidden.device)[None, :] >= lengths[:, None].to(hidden.device)
        dtype = torch.get_autocast_dtype(hidden.device.type) if _autocast(hidden) else torch.float32
        states = hidden.reshape(texts * length, d).to(dtype)
        weight, bias = self.layer.weight.detach(), self.layer.bias.detach().float()
        found = []
        for part in blocks(weight):
            products = torch.mm(states, weight[part].to(dtype).T).view(texts, length, -1)
            products.masked_fill_(padding[:, :, None], float("-inf"))
            logits, tokens = products.max(dim=1)
            logits = logits.float() + bias[part]
            row, term = (logits > 0).nonzero(as_tuple=True)
            found.append(Winners(row, term + part.start, tokens[row, term], logits[row, term]))
        return Winners(*(torch.cat(column) for column in zip(*found)))

    def _quantised(self) -> MaxPooledHead:
        """Return the screening head of the weights as they are now; made anew after each step of the
        optimiser.

        torch's version counter would not tell: fused optimisers change parameters without counting it up.
        """
        weight, bias = self.layer.weight, self.layer.bias
        state = _checksum(weight) + _checksum(bias)
        if self._screen is None or self._screen[0] != state:
            self._screen = state, MaxPooledHead(weight, bias, "int8 screening")
        return self._screen[1]


def embed(model: PreTrainedModel, head: TrainableHead, features: dict[str, Tensor]) -> Tensor:
    """Return weights, texts x vocabulary, with a gradient, of tokenised texts padded on the right.

    ``head`` stands for the output layer of ``model``, which must have a ``Bypass``. Texts go through the body
    in groups of like length.
    """
    mask = features["attention_mask"]
    lengths = mask.sum(dim=1)
    order = torch.argsort(lengths, stable=True)
    token_bytes = model.config.num_hidden_layers * model.config.hidden_size * BYTES_PER_STATE
    rows, kept = [], 0
    for group in _groups(lengths[order].tolist(), mask.is_cuda):
        texts = order[group]
        longest = int(lengths[texts].max())
        taken: dict[str, Tensor] = {
            name: features[name][texts, :longest]
            for name in ("input_ids", "token_type_ids")
            if name in features
        }
        if int(lengths[texts].min()) < longest:
            taken["attention_mask"] = mask[texts, :longest]
        kept += taken["input_ids"].numel() * token_bytes
        run: Callable[..., Tensor] = partial(hidden_states, model)
        if kept > KEPT_BYTES and torch.is_grad_enabled() and not mask.is_cuda:
            run = partial(checkpoint, run, use_reentrant=False)
        rows.append(head.pool(run(**taken), lengths[texts]))
    return torch.cat(rows)[torch.argsort(order)]


def _groups(lengths: list[int], cuda: bool) -> list[slice]:
    """Cut texts, shortest first, into groups of about GROUP_TOKENS padded tokens (GPU: CUDA_GROUPS)."""
    if cuda:
        size = -(-len(lengths) // CUDA_GROUPS)
        return [slice(start, start + size) for start in range(0, len(lengths), size)]
    groups, start = [], 0
    for i, length in enumerate(lengths):
        if (i - start + 1) * length > GROUP_TOKENS and i > start:
            groups.append(slice(start, i))
            start = i
    return [*groups, slice(start, len(lengths))]


def _checksum(parameter: Tensor) -> tuple[int, int]:
    """Return the sum and the exclusive or of the bits: a few milliseconds for a vocabulary's weights."""
    bits = parameter.detach().numpy().view(np.int32).ravel()
    return int(bits.sum(dtype=np.int64)), int(np.bitwise_xor.reduce(bits))


def _autocast(hidden: Tensor) -> bool:
    return torch.is_autocast_enabled(hidden.device.type)
