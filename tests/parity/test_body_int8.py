"""Layers as products of int8, against NumPy's integers; their body, against the exact one in float64."""

import copy

import numpy as np
import pytest
import torch
from conftest import kernels_of
from test_body import ENCODERS, MODELS, tokens
from torch.nn.functional import cosine_similarity, gelu

from repro.compiled import native
from repro.compiled.body import CompiledBody
from repro.compiled.byte_kernels import LARGEST, PART
from repro.compiled.kernels import Kernels
from repro.compiled.levels import TERM_LARGEST, TERM_NORM, TEXT_NORM
from repro.splade.bypass import ModelBody, hidden_states

SHAPES = [(1, 16, 16), (5, 48, 64), (7, 128, 112), (14, 144, 48), (197, 384, 192), (6, 1536, 64)]
"""Tokens, inputs, outputs: tiles and blocks that are full and not, sums of one part and of many."""


@pytest.fixture(params=native.LEVELS)
def level(request):
    """Run the test with the kernels of each level."""
    with kernels_of(request.param):
        yield request.param


def some_rows(rng: np.random.Generator, count: int, inputs: int, huge: float) -> np.ndarray:
    """Return rows of all kinds: flat ones, which a limit of norms scales, peaked, tiny, huge, and zeros."""
    rows = rng.standard_normal((count, inputs)).astype(np.float32)
    rows[::3] **= 3
    rows[1::4] *= np.float32(1 / huge)
    rows[2::4] *= np.float32(huge)
    rows[3::5] = 0
    rows[0] = 0.7
    rows[4:5] = -0.3
    return rows


def formula(rows: np.ndarray, largest: int, longest: float) -> np.ndarray:
    """Return the scale of each row, by the numbers that AVX2 sums in one lane of 16 bits."""
    parts = np.pad(rows.astype(np.float64), ((0, 0), (0, -rows.shape[1] % 128)))
    norms = np.sqrt(np.square(parts.reshape(len(rows), -1, 32, 2, 2)).sum(axis=(2, 4)).max(axis=(1, 2)))
    with np.errstate(divide="ignore"):
        scale = np.minimum(largest / np.abs(rows).max(axis=1), (0.9999 * longest - 4) / norms)
    return np.minimum(scale, 2.0**126)


def linear(
    kernels: Kernels,
    x: np.ndarray,
    packed: np.ndarray,
    factor: np.ndarray,
    bias: np.ndarray,
    with_gelu: bool = False,
) -> np.ndarray:
    beyond = len(packed) * kernels.terms - len(bias)
    y = np.full((len(x), len(bias)), np.nan, np.float32)
    kernels.linear_int8(
        x, packed, np.pad(factor, ((0, 0), (0, beyond))), np.pad(bias, (0, beyond)), with_gelu, y
    )
    return y


def check_products(kernels: Kernels, shapes: list[tuple[int, int, int]] = SHAPES) -> None:
    """Assert that the kernel computes the formula of ``compiled/linear.py``: its integers to the last one."""
    for seed, (count, inputs, outputs) in enumerate(shapes):
        rng = np.random.default_rng(seed)
        x, weight = some_rows(rng, count, inputs, 1e25), some_rows(rng, outputs, inputs, 1e4)
        values, of_rows = kernels.round_rows(weight)
        packed, factor = kernels.pack_terms(values), (1 / of_rows).astype(np.float32)
        whole = np.zeros((count, outputs), np.float32)
        products = []
        for first, of_weight in zip(range(0, inputs, PART), of_rows, strict=True):
            part, rows = (np.ascontiguousarray(of[:, first : first + PART]) for of in (x, weight))
            of_x = kernels._round(part[:, None], LARGEST, TEXT_NORM).scale.astype(np.float32)
            np.testing.assert_allclose(of_x, formula(part, LARGEST, TEXT_NORM), rtol=1e-6)
            np.testing.assert_allclose(of_weight, formula(rows, TERM_LARGEST, TERM_NORM), rtol=1e-6)
            terms = np.rint(rows * of_weight.astype(np.float32)[:, None]).astype(np.int64)
            np.testing.assert_array_equal(values[:, first : first + PART], terms)
            sums = np.rint(part * of_x[:, None]).astype(np.int64) @ terms.T
            whole += sums.astype(np.float32) * (1 / of_x[:, None])
            products.append(sums / of_x[:, None].astype(np.float64) / of_weight)
        ones, zeros = np.ones_like(factor), np.zeros(outputs, np.float32)
        np.testing.assert_array_equal(linear(kernels, x, packed, ones, zeros), whole)
        bias = rng.standard_normal(outputs).astype(np.float32)
        expected, size = np.sum(products, axis=0) + bias, np.abs(products).sum(axis=0) + np.abs(bias)
        assert (np.abs(linear(kernels, x, packed, factor, bias) - expected) <= 1e-6 * size).all()
        activated = gelu(torch.from_numpy(expected)).numpy()
        assert (np.abs(linear(kernels, x, packed, factor, bias, True) - activated) <= 2e-6 * size).all()


def check_no_number(kernels: Kernels) -> None:
    """Assert that tokens with numbers that are not finite have no outputs, and others theirs."""
    x = np.ones((9, 144), np.float32)
    x[1, 3], x[4, 143], x[5, 80] = np.nan, np.inf, -np.inf
    packed = kernels.pack_terms(np.ones((64, 144), np.int8))
    ones, y = np.ones(len(packed) * kernels.terms, np.float32), np.empty((9, 64), np.float32)
    kernels.linear_int8(x, packed, np.stack([ones, ones]), ones, False, y)
    assert np.isnan(y[[1, 4, 5]]).all()
    assert np.isfinite(np.delete(y, [1, 4, 5], axis=0)).all()


def test_products_are_those_of_integers(level):
    check_products(native.kernels())


def test_a_number_that_is_not_finite_is_not_hidden(level):
    check_no_number(native.kernels())


@pytest.mark.parametrize("name", ["BERT-Tiny", "heads of 32"])
def test_hidden_states_are_near_the_truth(name, level):
    """Within what bytes give; these models magnify errors more than trained ones do."""
    model = MODELS[name]()
    ours, true = CompiledBody(model, int8=True), ModelBody(copy.deepcopy(model).double())
    for length in [1, 17, 64]:
        ids = tokens(4, length)
        with torch.inference_mode():
            expected = hidden_states(true.model, input_ids=torch.from_numpy(ids))
        assert cosine_similarity(ours(ids).double(), expected, dim=-1).mean() > 0.98


@pytest.mark.parametrize("name", ENCODERS)
def test_a_texts_states_are_the_same_in_any_batch_and_alone(name, level):
    body = CompiledBody(ENCODERS[name](), int8=True)
    batch = [tokens(3, 40), tokens(1, 7), tokens(170, 2), tokens(2, 1)]  # more than are rounded at a time
    for ids, states, first in zip(batch, body.states(batch), body.states(batch, first=True)):
        np.testing.assert_array_equal(first, states[:, :1])
        for text, alone in zip(ids, states):
            np.testing.assert_array_equal(body.states([text[None]])[0][0], alone)


def test_arrays_that_do_not_fit_are_refused(level):
    kernels = native.kernels()
    packed = kernels.pack_terms(np.ones((64, 32), np.int8))
    numbers = np.ones(len(packed) * kernels.terms, np.float32)
    x, y = np.ones((3, 32), np.float32), np.empty((3, 64), np.float32)
    factor = numbers[None]
    for wrong in (
        (x[:, :16].copy(), packed, factor, numbers, False, y),
        (x, packed[1:], factor, numbers, False, y),
        (x, packed, factor[:, 1:].copy(), numbers, False, y),
        (x, packed, factor, numbers[1:], False, y),
        (x, packed, factor, numbers, False, y[:2]),
        (x[:, :24].copy(), packed, factor, numbers, False, y),
    ):
        with pytest.raises(ValueError, match="expected"):
            kernels.linear_int8(*wrong)
