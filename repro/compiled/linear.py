"""The linear layers of the compiled body: in float32, or as products of int8.

int8 is dynamic and symmetric. Each 128 numbers of a row have a scale together: of a row of weights w (an
output) it is found once, when the model is loaded, of a token's row x each time it comes to a layer:

    y = sum over parts of (round(c x) . round(k w)) / (c k), + bias

c brings the part's largest number of x to 127, k that of w to 63, and both are smaller where the norms of 64
numbers that share a sum would exceed the limits below which AVX2 sums them right in 16 bits
(``splade/screening.py`` has the proof): a part's sum is an exact integer. All processors round alike, also
those whose instructions would take 8 bits of a weight, so that vectors, and the figures measured with them,
are of one kind. Everything between the products is that of the exact body: attention, softmax, GELU,
normalisation, residuals.
"""

from typing import cast

import numpy as np
import torch
from torch import nn

from repro.compiled.layer_kernels import LayerKernels


class Linear:
    """One or several linear modules of the same input, their outputs side by side, in float32."""

    def __init__(self, kernels: LayerKernels, root: nn.Module, *names: str, gelu: bool = False) -> None:
        weight, self.bias = _joined(root, names)
        self.kernels, self.gelu, self.width = kernels, gelu, len(weight)
        self.packed = kernels.pack_columns(weight)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> None:
        """Write the outputs of ``x``, tokens x inputs, to ``y``, tokens x width."""
        self.kernels.linear(x, self.packed, self.bias, self.gelu, y)


class Int8Linear:
    """The same as products of int8; the weights are finite. Of a token whose numbers are not, all are nan."""

    def __init__(self, kernels: LayerKernels, root: nn.Module, *names: str, gelu: bool = False) -> None:
        weight, bias = _joined(root, names)
        values, scale = kernels.round_rows(weight)
        self.kernels, self.gelu, self.width = kernels, gelu, len(weight)
        self.packed = kernels.pack_terms(values)
        beyond = len(self.packed) * kernels.terms - len(weight)  # of the last block
        self.factor = np.pad((1 / scale).astype(np.float32), ((0, 0), (0, beyond)))
        self.bias = np.pad(bias, (0, beyond))

    def __call__(self, x: np.ndarray, y: np.ndarray) -> None:
        """Write the outputs of ``x``, tokens x inputs, to ``y``, tokens x width."""
        self.kernels.linear_int8(x, self.packed, self.factor, self.bias, self.gelu, y)


def array_of(parameter: torch.Tensor) -> np.ndarray:
    """Return a parameter's numbers as contiguous float32."""
    return parameter.detach().float().contiguous().numpy()


def _joined(root: nn.Module, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of modules, all outputs x inputs, and their biases."""
    modules = [cast(nn.Linear, root.get_submodule(name)) for name in names]
    weights, biases = ([array_of(getattr(m, part)) for m in modules] for part in ("weight", "bias"))
    return np.concatenate(weights), np.concatenate(biases)
