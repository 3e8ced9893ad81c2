"""The output layer of a masked language model, max-pooled over tokens, without the tokens x vocabulary
tensor.

SPLADE's weight of term v in a text is max over tokens t of log1p(relu(h_t . w_v + b_v)), h_t the hidden state
that goes into the output layer, w_v and b_v its row and bias. log1p and relu are monotone, so the products
are pooled first, in blocks of terms that stay in the cache, and only the few hundred positive results go on.
``screening.py`` tells beforehand, with cheaper products, which terms can be positive at all, and proves it.
"""

import numpy as np
import torch
from torch import Tensor

from repro.base.errors import InputError
from repro.compiled import native
from repro.compiled.head_kernels import MOST_DIMENSIONS
from repro.splade.screening import Bf16Screening, Int8Screening, blocks, max_product

LIMIT = 2.0**127
"""Below it no sum of products overflows float32, in whatever order it is taken."""

Row = tuple[np.ndarray, np.ndarray]
"""A text's term ids (int32, ascending) and weights (float32, positive)."""


def choose_method(precision: str, dimensions: int, device: torch.device) -> str:
    """Return how ``precision`` is reached here: int8 or bf16 screening, float32, or unscreened bf16.

    exact: int8 with the compiled kernels (``native.LEVELS``), else bfloat16 where the processor has units
    for it, else blocked float32. A GPU has the latter: screening leaves each text terms of its own, and so a
    product for each text, which keeps it waiting.
    """
    if precision == "float32" or (precision == "exact" and device.type == "cuda"):
        return "float32"
    if precision == "bf16":
        return "unscreened bf16"
    if dimensions % 4 == 0 and dimensions <= MOST_DIMENSIONS and native.kernels() is not None:
        return "int8 screening"
    onednn = torch.backends.mkldnn.is_available()  # not in torch for Apple's processors
    return "bf16 screening" if onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


def use_full_precision() -> None:
    """Have this process multiply float32 as float32, and sum products of bfloat16 in float32.

    The proof of the bound needs the latter; the float32 reference the former (no TF32, no bfloat16).
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False


class MaxPooledHead:
    """A masked language model's output layer: weight (vocabulary x d) and bias (vocabulary).

    A bias of -inf takes its term out. ``method`` is one of ``choose_method``'s; ``safety`` scales the bound
    of screening: 1 is proven, tests make it too small. InputError if the numbers are not finite.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, method: str, safety: float = 1.0) -> None:
        use_full_precision()
        self.weight = weight.detach().float().contiguous()
        bias = torch.zeros(len(weight), device=weight.device) if bias is None else bias
        self.bias = bias.detach().float().contiguous()
        self.method = method
        self.screening: Int8Screening | Bf16Screening | None = None
        if method == "int8 screening":
            kernels = native.kernels()
            if kernels is None:
                raise ValueError("int8 screening needs the compiled kernels")
            self.screening = Int8Screening(kernels, self.weight, self.bias, safety)
        elif method == "bf16 screening":
            self.screening = Bf16Screening(self.weight, self.bias, safety)
        self.factor = self.weight.bfloat16() if method == "unscreened bf16" else self.weight
        self.largest = weight.shape[1] * _largest(self.weight), _largest(self.bias[self.bias != -torch.inf])

    def pool(self, hidden: Tensor) -> list[Row]:
        """Return the weights of texts of equal length: hidden is float32, texts x tokens x d, unpadded.

        InputError if the hidden states are not finite, or so large that a logit might overflow float32.
        """
        hidden = hidden.contiguous()
        self._check(hidden)
        if isinstance(self.screening, Int8Screening):
            return self._pool_int8(hidden, self.screening)
        if isinstance(self.screening, Bf16Screening):
            return self._pool_bf16(hidden, self.screening)
        return self._pool_all(hidden)

    def candidates(self, states: Tensor) -> np.ndarray:
        """Return the terms (int32 ids, ascending) that int8 screening leaves of one text, tokens x d."""
        if not isinstance(self.screening, Int8Screening):
            raise ValueError(f"{self.method} is no int8 screening")
        self._check(states)
        return self.screening.candidates(states[None])[0]

    def _pool_int8(self, hidden: Tensor, screening: Int8Screening) -> list[Row]:
        weight, bias = self.weight.numpy(), self.bias.numpy()
        return [
            _positive(terms, screening.kernels.exact(states, weight, bias, terms))
            for states, terms in zip(hidden.numpy(), screening.candidates(hidden))
        ]

    def _pool_bf16(self, hidden: Tensor, screening: Bf16Screening) -> list[Row]:
        rows = []
        for states, terms in zip(hidden, screening.candidates(hidden)):
            logits = (states @ self.weight[terms].T).amax(dim=0) + self.bias[terms]
            rows.append(_positive(terms.cpu().numpy(), logits.cpu().numpy()))
        return rows

    def _check(self, hidden: Tensor) -> None:
        """Refuse numbers of which a logit is, or might become, no number."""
        weight, bias = self.largest
        if not _largest(hidden) * weight + bias < LIMIT:
            raise InputError(
                "the model's hidden states are not finite, or too large for float32: its weights are "
                "damaged, or training diverged"
            )

    def _pool_all(self, hidden: Tensor) -> list[Row]:
        """Pool every term's products, in float32 or unscreened bfloat16.

        The positive ones of all texts are gathered at once: a GPU is waited for once a batch.
        """
        states = hidden.to(self.factor.dtype)
        pooled = [max_product(states, self.factor[part]) + self.bias[part] for part in blocks(self.factor)]
        logits = torch.cat(pooled, dim=1)
        texts, terms = (logits > 0).nonzero(as_tuple=True)
        weights = np.log1p(logits[texts, terms].cpu().numpy())
        ends = np.searchsorted(texts.cpu().numpy(), np.arange(1, len(hidden)))
        return list(zip(np.split(terms.int().cpu().numpy(), ends), np.split(weights, ends)))


def _largest(numbers: Tensor) -> float:
    """Return the largest magnitude, nan if one is no number; 0 of none."""
    if not numbers.numel():
        return 0.0
    low, high = map(float, numbers.aminmax())
    return max(-low, high)


def _positive(terms: np.ndarray, logits: np.ndarray) -> Row:
    """Keep the positive logits and turn them into weights."""
    keep = logits > 0
    return terms[keep], np.log1p(logits[keep])
