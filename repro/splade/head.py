"""The output layer of a masked language model, max-pooled over tokens, without the tokens x vocabulary tensor.

SPLADE's weight of term v in a text is max over tokens t of log1p(relu(h_t . w_v + b_v)), h_t the hidden state that goes
into the output layer, w_v and b_v its row and bias. log1p and relu are monotone, so the products are pooled first, in
blocks of terms that stay in the cache, and only the few hundred positive results go on.

**Screening.** Most terms' maxima are far below zero, and telling so needs no float32. Let h' and w' be h and w rounded
to a cheaper number format. For every token t and term v

    h.w  =  h'.w' + (h - h').w + h'.(w - w')  <=  h'.w' + |h - h'| |w| + |h'| |w - w'|          (Cauchy-Schwarz)

so with A = max_t |h_t - h'_t| and B = max_t |h'_t|, both taken per text,

    max_t h_t.w_v + b_v  <=  max_t h'_t.w'_v + b_v + A |w_v| + B |w_v - w'_v|                    (1)

A term whose right side is not positive has weight zero and is left out. All others are computed in float32 from the
unrounded h and w, so what comes out is what the float32 formula gives.

Rounding of the arithmetic itself is covered too. int8 (terms in 7 bits with AVX2, see ``native/head.h``): the products
h'.w' are integers below 2^31 and exact; turning them into float32 and evaluating the right side costs a few units in the
last place. bfloat16: products are summed in float32, which errs by at most g |h'| |w'| with g = d 2^-24 / (1 - d 2^-24) (Higham 2002,
3.5), and the sum is rounded to bfloat16, by at most 2^-8 of its size. The float32 reference errs by up to g |h| |w|, so it
may find a tiny positive value where the true one is negative. ``_slack`` bounds all of these, relative to |h| |w| and |b|,
and is added to (1).
"""

import numpy as np
import torch

from repro.splade import native

BLOCK = 1024
"""Terms in a block of the torch paths: with some hundred tokens, the products stay in a core's L2 cache."""
CUDA_BLOCK = 8192
MARGIN = np.float32(1 + 2.0**-10)
"""Covers the rounding of the computed norms, and the slack on what the unrounded |h| has over |h'|."""

Row = tuple[np.ndarray, np.ndarray]
"""A text's term ids (int32, ascending) and weights (float32, positive)."""


def choose_method(precision: str, dimensions: int, device: torch.device) -> str:
    """Return how ``precision`` is reached here: ``int8`` or ``bf16`` screening, ``float32``, or ``unscreened bf16``.

    exact: int8 with the compiled kernels (AVX-512 VNNI or AVX2), else bfloat16 where the processor has units for it,
    else blocked float32.
    """
    if precision == "float32":
        return "float32"
    if precision == "bf16":
        return "unscreened bf16"
    if device.type == "cuda":
        return "bf16 screening"
    if dimensions % 4 == 0 and native.kernels() is not None:
        return "int8 screening"
    return "bf16 screening" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


class MaxPooledHead:
    """A masked language model's output layer: weight (vocabulary x d) and bias (vocabulary).

    ``method`` is one of ``choose_method``'s. ``safety`` scales the bound (1): 1 is proven, tests make it too small.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, method: str, safety: float = 1.0
    ) -> None:
        self.weight = weight.detach().float().contiguous()
        bias = torch.zeros(len(weight), device=weight.device) if bias is None else bias
        self.bias = bias.detach().float().contiguous()
        self.method, self.safety = method, safety
        if method == "int8 screening":
            self._prepare_int8()
        elif method != "float32":
            self.rounded = self.weight.bfloat16()
            self.norm = self.weight.norm(dim=1)
            self.error = (self.weight - self.rounded.float()).norm(dim=1)
            self.slack = _slack(self.weight.shape[1])

    def pool(self, hidden: torch.Tensor) -> list[Row]:
        """Return the weights of texts of equal length: hidden is float32, texts x tokens x d, without padding."""
        if self.method == "int8 screening":
            return self._pool_int8(hidden.numpy())
        if self.method == "bf16 screening":
            return self._pool_bf16(hidden)
        return self._pool_all(hidden)

    def _prepare_int8(self) -> None:
        weight = self.weight.numpy()
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-30) / np.float32(native.kernels().largest)
        quantised = np.rint(weight / scale[:, None]).astype(np.int8)
        self.packed = native.pack_terms(quantised)
        error = np.linalg.norm(weight - quantised * scale[:, None], axis=1)
        norm = np.linalg.norm(weight, axis=1)
        slack = _slack(weight.shape[1])
        padding = self.packed.shape[0] * self.packed.shape[2] - len(weight)
        self.term_bounds = tuple(
            np.pad(values.astype(np.float32), (0, padding), constant_values=fill)
            for values, fill in (
                (scale, 0),
                (self.bias.numpy() + self.safety * slack * np.abs(self.bias.numpy()), -np.inf),
                (norm, 0),
                (self.safety * (error + slack * norm), 0),
            )
        )

    def candidates(self, hidden: np.ndarray) -> np.ndarray:
        """Return the ids (int32, ascending) of the terms that int8 screening leaves for one text: hidden is tokens x d."""
        return self._screen_int8(hidden[None])[0]

    def _pool_int8(self, hidden: np.ndarray) -> list[Row]:
        weight, bias = self.weight.numpy(), self.bias.numpy()
        return [
            _positive(terms, native.exact(states, weight, bias, terms))
            for states, terms in zip(hidden, self._screen_int8(hidden))
        ]

    def _screen_int8(self, hidden: np.ndarray) -> list[np.ndarray]:
        texts, length, d = hidden.shape
        largest = np.maximum(np.abs(hidden).max(axis=(1, 2)), 1e-30)
        scale = (largest / 127).astype(np.float32)
        quantised = np.rint(hidden * (1 / scale)[:, None, None])
        rounded = quantised * scale[:, None, None]
        norm = np.sqrt(np.square(rounded).sum(axis=2).max(axis=1)) * MARGIN
        error = np.sqrt(np.square(hidden - rounded).sum(axis=2).max(axis=1)) * MARGIN
        text_bounds = scale, np.float32(self.safety) * error, norm
        flat = quantised.astype(np.int8).reshape(texts * length, d)
        return native.screen(flat, np.full(texts, length), self.packed, self.term_bounds, text_bounds)

    def _pool_bf16(self, hidden: torch.Tensor) -> list[Row]:
        rounded = hidden.bfloat16()
        error = (hidden - rounded.float()).norm(dim=2).amax(dim=1) * MARGIN
        norm = rounded.float().norm(dim=2).amax(dim=1) * MARGIN
        kept = []
        for part in self._blocks():
            product = _max_product(rounded, self.rounded[part])
            bound = product.abs() * 2.0**-8 + error[:, None] * self.norm[part]
            bound += norm[:, None] * (self.error[part] + self.slack * self.norm[part])
            bound += self.slack * self.bias[part].abs()
            kept.append(product + self.bias[part] + self.safety * bound > 0)
        rows = []
        for states, mask in zip(hidden, torch.cat(kept, dim=1)):
            terms = mask.nonzero().squeeze(1)
            logits = (states @ self.weight[terms].T).amax(dim=0) + self.bias[terms]
            rows.append(_positive(terms.int().cpu().numpy(), logits.cpu().numpy()))
        return rows

    def _pool_all(self, hidden: torch.Tensor) -> list[Row]:
        """Pool every term's products, in float32 or unscreened bfloat16."""
        states, weight = (
            (hidden, self.weight) if self.method == "float32" else (hidden.bfloat16(), self.rounded)
        )
        pooled = [_max_product(states, weight[part]) + self.bias[part] for part in self._blocks()]
        rows = []
        for logits in torch.cat(pooled, dim=1):
            terms = (logits > 0).nonzero().squeeze(1)
            rows.append(_positive(terms.int().cpu().numpy(), logits[terms].cpu().numpy()))
        return rows

    def _blocks(self) -> list[slice]:
        size = CUDA_BLOCK if self.weight.is_cuda else BLOCK
        return [slice(start, start + size) for start in range(0, len(self.weight), size)]


def _max_product(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return max over tokens of hidden . weight: texts x terms, float32."""
    texts, length, d = hidden.shape
    products = torch.mm(hidden.reshape(texts * length, d), weight.T)
    return products.view(texts, length, len(weight)).amax(dim=1).float()


def _positive(terms: np.ndarray, logits: np.ndarray) -> Row:
    """Keep the positive logits and turn them into weights."""
    keep = logits > 0
    return terms[keep], np.log1p(logits[keep])


def _slack(d: int) -> float:
    """Bound the float32 arithmetic's own relative errors: twice Higham's g for d products, and some units in the last."""
    return 2 * d * 2.0**-24 / (1 - d * 2.0**-24) + 2.0**-20
