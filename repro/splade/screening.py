"""Which terms can be positive in a text, told from cheap products, and the proof that none is missed.

Most terms' maxima max_t h_t.w_v + b_v (``head.py``) are far below zero, and telling so needs no float32. Let
c be a scale of the text, k one of the term, u = c h and x = k w, and u' and x' be u and x rounded to a
cheaper number format. For every token t and term v

    u.x  =  u'.x' + (u - u').x + u'.(x - x')  <=  u'.x' + |u - u'| |x| + |u'| |x - x'|       (Cauchy-Schwarz)

so with A = max_t |u_t - u'_t| and B = max_t |u'_t|, taken per text, and E = |x - x'|, |x| <= |x'| + E,

    c k max_t (h_t.w_v + b_v)  <=  max_t u'_t.x'_v + c k b_v + A (|x'_v| + E_v) + B E_v            (1)

c and k are positive: a term whose right side is not positive has weight zero and is left out. All others are
computed in float32 from the unrounded h and w, so what comes out is what the float32 formula gives.

**It holds for every finite input** whose products stay finite: d max|h| max|w| + max|b| < 2^127 (``head.py``
refuses what lies beyond, and numbers that are not finite). The scales bring the largest number of a text and
of a term to ``largest`` (to 2^126 times itself, if it is below 2^-119; with AVX2 to less), so that norms and
errors neither overflow nor vanish, whatever the magnitudes; norms are those of the rounded vectors, for int8
of integers.
c k b_v may lie beyond float32, and the right side is evaluated in float64, whose range holds all of this.

Rounding of the arithmetic itself is covered by ``slack`` times (A + B) (|x'| + E), which bounds |u| |x|:
- The float32 reference errs by up to g |h| |w|, g = d 2^-24 / (1 - d 2^-24) (Higham 2002, 3.5), so it may
  find a tiny positive value where the true one is negative; and by d 2^-126, where products are too small for
  float32, which is added to b.
- int8: products u'.x' are integers below 2^31 and exact. With AVX2, where terms have 7 bits, they are summed
  modulo 2^16 over ``chunk`` / 2 dimensions at a time, and these sums, s, widened. That is exact, too: each is
  congruent to s whatever overflows on the way, and |s| <= |u'_part| |x'_part| <= ``text_norm`` ``term_norm``
  < 2^15, as the scales are so small that the norms of rounded numbers that share a sum reach these limits at
  most (rounding adds up to sqrt(chunk / 2) / 2 to a norm, the arithmetic less than 1e-4 of it). Two products
  are added before that, saturated: they are at most 2 x 127 x 127, the terms' offset included.
- bfloat16: products are summed in float32, which errs by at most 2 g |u'| |x'| (units that truncate
  included), and the sum is rounded to bfloat16, by at most 2^-8 of its size, which is added to (1).
- u, x and the computed norms have relative errors of float32 themselves: 2^-20 for the former, and a factor
  of 1 + ``slack`` for the latter. Float64's are as nothing beside them.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.base.errors import InputError
from repro.compiled.byte_kernels import LARGEST, Bytes
from repro.compiled.head_kernels import HeadKernels, TermBounds, TextBounds

BLOCK = 1024
"""Terms in a block of torch's products: with some hundred tokens, they stay in a core's L2 cache."""
CUDA_BLOCK = 8192
NOT_FINITE = "the model's numbers are not finite: its weights are damaged, or training diverged"


class Rounded(NamedTuple):
    """Groups of vectors, each times its ``scale`` and then rounded.

    values: groups x length x d, int8 or bfloat16; scale, norm (largest of the group's rounded vectors) and
    error (largest distance of a scaled vector from its rounded one), each with its own rounding added:
    groups, float64.
    """

    values: Tensor
    scale: Tensor
    norm: Tensor
    error: Tensor


def round_to_bfloat16(vectors: Tensor) -> Rounded:
    """Scale and round float32 vectors, groups x length x d; InputError if a number is not finite.

    bfloat16 would hold other numbers than int8 as well.
    """
    most = vectors.abs().amax(dim=(1, 2)).double()
    if not most.isfinite().all():
        raise InputError(NOT_FINITE)
    scale = (LARGEST / most).clamp(max=2.0**126).float()
    scaled = vectors * scale[:, None, None]
    rounded = scaled.bfloat16().float()
    margin = 1 + slack(vectors.shape[2])
    norm = torch.linalg.vector_norm(rounded, dim=2).amax(dim=1).double() * margin
    error = torch.linalg.vector_norm(scaled - rounded, dim=2).amax(dim=1).double() * margin
    return Rounded(rounded.bfloat16(), scale.double(), norm, error)


def with_margin(rounded: Bytes) -> Rounded:
    """Return what a kernel has rounded, with what its float32 arithmetic may have lost of the norms."""
    values, scale, norm, error = (torch.from_numpy(array) for array in rounded)
    margin = 1 + slack(values.shape[2])
    return Rounded(values, scale, norm * margin, error * margin)


def slack(d: int) -> float:
    """Bound the float32 arithmetic's own relative errors: four times g, and some units in the last place."""
    return 4 * d * 2.0**-24 / (1 - d * 2.0**-24) + 2.0**-20


class Int8Screening:
    """Screening with the compiled kernels.

    weight: float32, vocabulary x d, d a multiple of 4; bias: vocabulary. ``safety`` scales the bound: 1 is
    proven, tests make it too small.
    """

    def __init__(self, kernels: HeadKernels, weight: Tensor, bias: Tensor, safety: float = 1.0) -> None:
        self.kernels, self.safety = kernels, safety
        if not weight.isfinite().all():
            raise InputError(NOT_FINITE)
        rounded = with_margin(kernels.round_terms(weight[:, None].numpy()))
        self.packed = kernels.pack_terms(rounded.values[:, 0].numpy())
        padding = len(self.packed) * kernels.terms - len(weight)
        self.terms = TermBounds(
            *(
                np.pad(values.numpy(), (0, padding), constant_values=fill)
                for values, fill in zip(_term_bounds(rounded, bias), (-np.inf, 0, 0))
            )
        )

    def candidates(self, hidden: Tensor) -> list[np.ndarray]:
        """Return each text's terms (int32 ids, ascending) that can be positive.

        hidden: float32, texts x tokens x d, finite.
        """
        rounded = with_margin(self.kernels.round_texts(hidden.detach().numpy()))
        texts = TextBounds(*(bound.numpy() for bound in _text_bounds(rounded, self.safety)))
        return self.kernels.screen(rounded.values.numpy(), self.packed, self.terms, texts)


class Bf16Screening:
    """The same with torch's products of bfloat16, where no kernels are compiled."""

    def __init__(self, weight: Tensor, bias: Tensor, safety: float = 1.0) -> None:
        self.safety = safety
        rounded = round_to_bfloat16(weight[:, None])
        self.weight = rounded.values[:, 0]
        self.bias, self.norm, self.error = _term_bounds(rounded, bias)

    def candidates(self, hidden: Tensor) -> list[Tensor]:
        """Return each text's terms (int32 ids, ascending) that can be positive.

        hidden: float32, texts x tokens x d. InputError if a number is not finite.
        """
        rounded = round_to_bfloat16(hidden)
        scale, error, norm = (bound[:, None] for bound in _text_bounds(rounded, self.safety))
        kept = []
        for part in blocks(self.weight):
            product = max_product(rounded.values, self.weight[part]).double()
            bound = self.safety * 2.0**-8 * product.abs() + error * self.norm[part] + norm * self.error[part]
            kept.append(product + scale * self.bias[part] + bound > 0)
        return [mask.nonzero().squeeze(1).int() for mask in torch.cat(kept, dim=1)]


def _term_bounds(terms: Rounded, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what (1) needs of each term: bias, norm and error, float64."""
    underflow = terms.values.shape[2] * 2.0**-126
    return (bias.double() + underflow) * terms.scale, terms.norm + terms.error, terms.error


def _text_bounds(texts: Rounded, safety: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return what (1) needs of each text: scale, error and norm, float64."""
    error = texts.error + slack(texts.values.shape[2]) * (texts.error + texts.norm)
    return texts.scale, safety * error, safety * texts.norm


def blocks(weight: Tensor) -> list[slice]:
    """Cut a vocabulary's rows into parts whose products with a batch are pooled at a time."""
    size = CUDA_BLOCK if weight.is_cuda else BLOCK
    return [slice(start, start + size) for start in range(0, len(weight), size)]


def max_product(hidden: Tensor, weight: Tensor) -> Tensor:
    """Return max over tokens of hidden . weight: texts x terms, float32."""
    texts, length, d = hidden.shape
    products = torch.mm(hidden.reshape(texts * length, d), weight.T)
    return products.view(texts, length, len(weight)).amax(dim=1).float()
