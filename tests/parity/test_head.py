"""The max-pooled head against the plain float32 formula: same terms, same weights, whatever the numbers."""

import math

import numpy as np
import pytest
import torch
from conftest import kernels_of
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.base.errors import InputError
from repro.compiled import native
from repro.compiled.head_kernels import TermBounds, TextBounds
from repro.splade.head import MaxPooledHead, choose_method

CPU = torch.device("cpu")
METHODS = ["float32", "bf16 screening", *native.LEVELS]
"""The last ones: int8 screening with these kernels."""


def plain(hidden, weight, bias) -> torch.Tensor:
    """The pooled logits of the formula itself, in float64, which stands for the true value."""
    logits = torch.einsum("bld,vd->blv", hidden.double(), weight.double()) + bias.double()
    return logits.amax(dim=1)


def check(hidden, weight, bias, method, safety=1.0) -> None:
    """Every weight that is clearly positive is there and right, and none is that is clearly zero."""
    with kernels_of(method if method in native.LEVELS else "none"):
        head = MaxPooledHead(weight, bias, "int8 screening" if method in native.LEVELS else method, safety)
        pooled = head.pool(hidden)
    expected = plain(hidden, weight, bias)
    d = weight.shape[1]
    norms = hidden.double().norm(dim=2).amax(dim=1)[:, None] * weight.double().norm(dim=1)
    size = norms + bias.double().abs()
    lost = (4 * d * 2.0**-24 * size + d * 2.0**-126).numpy()  # what float32 arithmetic itself may lose
    for i, (terms, weights) in enumerate(pooled):
        found = np.zeros(len(weight))
        found[terms] = weights
        logits, least = expected[i].numpy(), expected[i].numpy() - lost[i]
        assert (np.diff(terms) > 0).all() and (weights > 0).all()
        assert (found[least > 0] > 0).all()
        true = np.log1p(np.maximum(logits, 0))
        assert (np.abs(found - true) <= lost[i] / (1 + np.maximum(least, 0)) + 1e-6 * true).all()


def random_case(seed, texts=3, length=7, d=32, vocabulary=200, spread=1.0):
    """Magnitudes that differ from row to row and entry to entry; biases that put many maxima near zero."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    columns = torch.exp(spread * normal(d)), torch.exp(spread * normal(d))
    hidden = normal(texts, length, d) * torch.exp(spread * normal(texts, length, 1)) * columns[0]
    weight = normal(vocabulary, d) * torch.exp(spread * normal(vocabulary, 1)) * columns[1]
    return hidden, weight, near_zero(hidden, weight, normal(vocabulary))


def near_zero(hidden, weight, noise):
    """Biases with which the maximum of each term ends within a per cent of zero, on either side."""
    top = torch.einsum("bld,vd->blv", hidden.double(), weight.double()).amax(dim=(0, 1))
    return (-top * (1 + 0.01 * noise)).float()


def extreme_case(seed, largest, texts=3, length=5, d=16, vocabulary=300):
    """Rows of any magnitude from the smallest of float32 up, hidden states to 10^largest.

    The terms' reach as far as their products with these stay finite. Half of the biases are of any magnitude,
    too.
    """
    rng = np.random.default_rng(seed)

    def rows(shape, upper):
        exponents = rng.uniform(-45, upper, (*shape[:-1], 1)) if rng.random() < 0.5 else upper
        return torch.from_numpy((rng.uniform(-1, 1, shape) * 10.0**exponents).astype(np.float32))

    hidden, weight = rows((texts, length, d), largest), rows((vocabulary, d), min(38, 36 - largest))
    bias = near_zero(hidden, weight, torch.from_numpy(rng.normal(size=vocabulary)))
    return (
        hidden,
        weight,
        torch.where(torch.arange(vocabulary) % 2 == 0, bias, rows((vocabulary, 1), 37)[:, 0]),
    )


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    texts=st.integers(1, 4),
    length=st.sampled_from([1, 2, 7, 15, 16, 19, 33, 50, 64, 65, 100]),
    d=st.sampled_from([4, 16, 48, 128]),
    vocabulary=st.sampled_from([1, 47, 48, 49, 1500]),
    spread=st.floats(0, 4),
)
def test_no_magnitudes_defeat_the_bound(method, seed, texts, length, d, vocabulary, spread):
    check(*random_case(seed, texts, length, d, vocabulary, spread), method)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), largest=st.floats(-44, 38))
def test_nor_do_the_largest_and_smallest_numbers(method, seed, largest):
    """Squares would overflow float32 from 2e19 up, and vanish from 1e-23 down."""
    check(*extreme_case(seed, largest), method)


@pytest.mark.parametrize("method", [*METHODS, "unscreened bf16"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 3e38])
def test_what_float32_cannot_hold_is_refused(method, number):
    """Hidden states that are no numbers, or make products that are none, and weights of which the same is
    true.
    """
    hidden, weight, bias = random_case(1)
    with kernels_of(method if method in native.LEVELS else "none"):
        name = "int8 screening" if method in native.LEVELS else method
        head = MaxPooledHead(weight, bias, name)
        states = hidden.clone()
        states[1, 2, 3] = number
        with pytest.raises(InputError, match="not finite"):
            head.pool(states)
        weight[5, 6] = number
        with pytest.raises(InputError, match="not finite"):
            MaxPooledHead(weight, bias, name).pool(hidden)


@pytest.mark.parametrize("method", [*METHODS, "unscreened bf16"])
def test_a_bias_of_minus_infinity_takes_a_term_out(method):
    hidden, weight, bias = random_case(2)
    bias = bias.abs()
    bias[7] = -math.inf
    with kernels_of(method if method in native.LEVELS else "none"):
        head = MaxPooledHead(weight, bias, "int8 screening" if method in native.LEVELS else method)
        for terms, _ in head.pool(hidden):
            assert 7 not in terms and 6 in terms


def test_products_are_as_precise_as_the_proof_needs():
    """Whatever the process had set: no TF32, no bfloat16 for float32, no sums in bfloat16."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True
        MaxPooledHead(torch.ones(4, 4), None, "bf16 screening")
        assert torch.get_float32_matmul_precision() == "highest"
        assert torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction is False
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("method", METHODS)
def test_zeros_and_single_large_entries(method):
    hidden, weight, bias = torch.zeros(2, 3, 16), torch.zeros(100, 16), torch.linspace(-1, 1, 100)
    check(hidden, weight, bias, method)
    hidden[0, 1, 3], weight[:, 3], weight[:, 4] = 1e4, 1e-3, 1.0  # rounding to int8 wipes out the small ones
    hidden[1, 2, 4] = 1e-2
    check(hidden, weight, bias - 10, method)


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_bound_that_is_too_small_fails(method):
    """The adversarial cases do attack the bound: at a twentieth of it, terms get lost."""
    failures = 0
    for seed in range(40):
        try:
            check(*random_case(seed, vocabulary=1500), method, safety=0.05)
        except AssertionError:
            failures += 1
    assert failures >= 20


def parallel_case(seed, d, texts=3, length=8, terms=37):
    """Tokens and terms all along a few directions, so that their products are those of their norms.

    Directions have all their weight where products share a sum, or in one number, or anywhere.
    """
    rng = np.random.default_rng(seed)
    directions = rng.choice([-1.0, 1.0], (3, d))
    directions[1] *= (np.arange(d) % 4 < 2) & (np.arange(d) < 128)
    directions[2] *= np.arange(d) == rng.integers(d) if rng.random() < 0.5 else rng.random(d)
    hidden = directions[rng.integers(0, 3, (texts, length))] * rng.choice([-1, 1, 0.5], (texts, length, 1))
    weight = directions[rng.integers(0, 3, (terms, 1))] * rng.choice([-1, 1], (terms, 1, 1))
    return hidden.astype(np.float32), weight.astype(np.float32)


def part_norms(rows, chunk):
    """Return the norms of those of a row's numbers whose products share a sum of 16 bits: as head.h has them.

    Of each ``chunk`` dimensions these are the first two of every four, and the last two.
    """
    squares = np.zeros((*rows.shape[:-1], -(-rows.shape[-1] // chunk) * chunk))
    squares[..., : rows.shape[-1]] = rows.astype(float) ** 2
    return np.sqrt(squares.reshape(*rows.shape[:-1], -1, chunk // 4, 2, 2).sum(axis=(-3, -1)))


def screened(kernels, hidden, weight, seed=0):
    """Return, for one of the texts, the terms that screening finds, and those that integer products give.

    Biases have each product end at 0 or at 1.
    """
    texts, terms = kernels.round_texts(hidden), kernels.round_terms(weight)
    packed = kernels.pack_terms(terms.values[:, 0])
    pooled = (texts.values.astype(np.int64) @ terms.values[:, 0].T.astype(np.int64)).max(axis=1)
    text = seed % len(hidden)
    bias = -pooled[text] + np.random.default_rng(seed).integers(0, 2, len(weight))
    padding = len(packed) * kernels.terms - len(weight)
    of_terms = np.pad(bias.astype(np.float64), (0, padding), constant_values=-np.inf)
    zeros, count = np.zeros(len(of_terms)), len(hidden)
    found = kernels.screen(
        texts.values,
        packed,
        TermBounds(of_terms, zeros, zeros),
        TextBounds(np.ones(count), np.zeros(count), np.zeros(count)),
    )
    return found[text].tolist(), np.flatnonzero(pooled[text] + bias > 0).tolist()


@pytest.mark.parametrize("level", native.LEVELS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    d=st.sampled_from([4, 20, 64, 128, 144, 256, 400]),
    length=st.integers(1, 14),
    magnitude=st.floats(-37, 37),
)
def test_products_of_rounded_numbers_are_summed_exactly(level, seed, d, length, magnitude):
    """Also in 16 bits (AVX2), of vectors that are parallel: Cauchy-Schwarz is met there."""
    with kernels_of(level):
        kernels = native.kernels()
        hidden, weight = parallel_case(seed, d, length=length)
        hidden, weight = hidden * np.float32(10.0**magnitude), weight / np.float32(10.0**magnitude)
        found, expected = screened(kernels, hidden, weight, seed)
        assert found == expected
        if kernels.shape.chunk:
            for rounded, limit in (
                (kernels.round_texts(hidden), kernels.shape.text_norm),
                (kernels.round_terms(weight), kernels.shape.term_norm),
            ):
                assert part_norms(rounded.values, kernels.shape.chunk).max() <= limit


def test_norms_whose_products_fit_16_bits_are_reached_and_needed(monkeypatch):
    """The adversarial vectors do attack the sums: they come near the limits, and without limits overflow."""
    with kernels_of("avx2"):
        kernels = native.kernels()
        shape = kernels.shape
        assert 32_700 < shape.text_norm * shape.term_norm < 2**15
        hidden, weight = parallel_case(1, 128)
        for rounded, limit in (
            (kernels.round_texts(hidden), shape.text_norm),
            (kernels.round_terms(weight), shape.term_norm),
        ):
            assert part_norms(rounded.values, shape.chunk).max() > 0.94 * limit
        monkeypatch.setattr(kernels, "shape", shape._replace(text_norm=math.inf, term_norm=math.inf))
        found, expected = screened(kernels, hidden, weight)
        assert found != expected


@pytest.mark.parametrize("level", native.LEVELS)
@pytest.mark.parametrize("d", [4, 36, 128, 256])
def test_rounding_is_to_the_nearest_and_its_norms_are_right(level, d):
    rng = np.random.default_rng(d)
    vectors = (rng.normal(size=(5, 7, d)) * 10.0 ** rng.uniform(-30, 30, (5, 1, 1))).astype(np.float32)
    vectors[4] = 0
    with kernels_of(level):
        values, scale, norm, error = native.kernels().round_texts(vectors)
    assert values.shape == (5, 7, -(-d // 16) * 16) and not values[..., d:].any()
    scaled = vectors * scale[:, None, None].astype(np.float32)
    np.testing.assert_array_equal(values[..., :d], np.rint(scaled))
    np.testing.assert_allclose(norm, np.linalg.norm(np.rint(scaled), axis=2).max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(error, np.linalg.norm(scaled - np.rint(scaled), axis=2).max(axis=1), rtol=1e-5)
    largest = np.abs(values).max(axis=(1, 2))
    assert (largest[:4] > 50).all() and (largest <= 127).all() and largest[4] == 0


@pytest.mark.parametrize("level", native.LEVELS)
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1)])
def test_int8_products_at_their_extremes(level, signs):
    """All entries at their largest: no saturation, no overflow, and tiles of every size."""
    with kernels_of(level):
        for length in range(1, 20):
            hidden = torch.tensor(signs).repeat(384).expand(1, length, 768).float()
            weight = torch.cat([hidden[0, :1], -hidden[0, :1]])
            head = MaxPooledHead(weight, torch.tensor([-767.5, -767.5]), "int8 screening")
            ((terms, weights),) = head.pool(hidden)
            assert terms.tolist() == [0]
            np.testing.assert_allclose(weights, np.log1p(0.5), rtol=1e-5)


def test_methods_that_are_chosen(monkeypatch):
    assert choose_method("float32", 128, CPU) == "float32"
    assert choose_method("bf16", 128, CPU) == "unscreened bf16"
    assert choose_method("exact", 128, torch.device("cuda")) == "float32"
    monkeypatch.setattr(native, "kernels", lambda: object())
    assert choose_method("exact", 128, CPU) == "int8 screening"
    assert choose_method("exact", 102, CPU) != "int8 screening"  # the kernels take multiples of 4
    monkeypatch.setattr(native, "kernels", lambda: None)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert choose_method("exact", 128, CPU) == "bf16 screening"
    with monkeypatch.context() as without_onednn:
        without_onednn.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        assert choose_method("exact", 128, CPU) == "float32"
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert choose_method("exact", 128, CPU) == "float32"


def test_unscreened_bf16_is_near_but_not_exact():
    hidden, weight, bias = random_case(1, d=128, vocabulary=1500)
    head = MaxPooledHead(weight, bias + 1, "unscreened bf16")
    found = np.zeros((3, 1500))
    for i, (terms, weights) in enumerate(head.pool(hidden)):
        found[i, terms] = np.expm1(weights)
    expected = torch.relu(plain(hidden, weight, bias + 1)).numpy()
    size = (hidden.norm(dim=2).amax(dim=1)[:, None] * weight.norm(dim=1)).numpy()
    difference = np.abs(found - expected) / size
    assert 1e-6 < difference.max() < 2**-7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_gives_the_same():
    hidden, weight, bias = random_case(2, d=128, vocabulary=1500, spread=0.5)
    on_gpu = MaxPooledHead(weight.cuda(), bias.cuda(), "float32").pool(hidden.cuda())
    on_cpu = MaxPooledHead(weight, bias, "float32").pool(hidden)
    for (terms, weights), (expected_terms, expected) in zip(on_gpu, on_cpu):
        assert terms.tolist() == expected_terms.tolist()
        np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-5)
