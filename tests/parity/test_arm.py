"""The kernels for ARM in an emulated processor, against what the other levels are compared with.

The emulator tells whether results are right, and not how fast they come.
"""

import copy
import re
import subprocess
from unittest import mock

import numpy as np
import pytest
import torch
from emulated import FLAGS, OLD_LINUX, EmulatedLibrary, build, emulator, zig
from test_body import bert, rms, tokens
from test_body_int8 import check_no_number, check_products
from test_head import check, extreme_case, random_case

from repro.compiled import native
from repro.compiled.body import CompiledBody, compiles
from repro.compiled.head_kernels import TermBounds, TextBounds
from repro.compiled.kernels import Kernels
from repro.compiled.levels import ARM, SHAPES
from repro.splade.bypass import ModelBody, hidden_states

LEVELS = tuple(level for level, shape in SHAPES.items() if shape.machines == ARM)
PROCESSORS = {"cortex-a53": ("neon",), "neoverse-n1": ("dotprod", "neon"), "max": ("i8mm", "dotprod", "neon")}
"""What the emulated ones have."""
PROCESSOR = {"neon": "cortex-a53", "dotprod": "neoverse-n1", "i8mm": "max"}
"""The least that has a level: other instructions are illegal ones there."""


@pytest.fixture(scope="module", params=["gcc", "zig"])
def driver(request, tmp_path_factory):
    """The kernels as GCC compiles them, and as Clang does."""
    emulator()
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def libraries(driver):
    """Return the library in each processor."""
    found = {processor: EmulatedLibrary(driver, processor) for processor in PROCESSORS}
    yield found
    for library in found.values():
        library.close()


@pytest.fixture(params=LEVELS)
def level(request, libraries):
    """Run the test with the kernels of each level, as if this were a processor of that kind."""

    def open_kernels(level: str) -> Kernels:
        return Kernels(libraries[PROCESSOR[level]], level)

    kernels = open_kernels(request.param)
    with (
        mock.patch.object(native, "LEVELS", LEVELS),
        mock.patch.object(native, "open_kernels", open_kernels),
        mock.patch.object(native, "kernels", return_value=kernels),
    ):
        yield request.param


def test_a_processor_has_the_levels_that_it_has(libraries):
    for processor, levels in PROCESSORS.items():
        library = libraries[processor]
        assert tuple(level for level in LEVELS if getattr(library, f"supported_{level}")()) == levels
        assert all(getattr(library, f"abi_{level}")() == native.ABI for level in LEVELS)


def test_they_link_with_the_c_library_of_2012(driver, tmp_path):
    """So a wheel serves every Linux that manylinux2014 does: no symbols but those of glibc 2.17."""
    if driver.parent.name.startswith("gcc"):
        pytest.skip("only zig has older C libraries")
    library = tmp_path / "repro_native.so"
    objects = map(str, driver.parent.glob("*.o"))
    subprocess.run([*zig(OLD_LINUX), *FLAGS, "-shared", *objects, "-o", str(library)], check=True)
    assert set(re.findall(rb"GLIBC_[\d.]+", library.read_bytes())) == {b"GLIBC_2.17"}


@pytest.mark.parametrize("d", [4, 20, 128, 384])
def test_screening_finds_what_the_integer_formula_finds(level, d):
    """Tiles of every size, blocks that are not full, and bounds that are met to the last integer."""
    kernels, rng = native.kernels(), np.random.default_rng(d)
    weight = rng.integers(-127, 128, (37, d)).astype(np.int8)
    weight[:2] = [[127], [-127]]
    packed = kernels.pack_terms(weight)
    for length in [*range(1, 14), 31]:
        hidden = rng.integers(-127, 128, (3, length, d)).astype(np.int8)
        hidden[1] = rng.choice([-127, 127])
        pooled = (hidden.astype(np.int64) @ weight.T.astype(np.int64)).max(axis=1)
        text = length % 3
        bias = -pooled[text] + rng.integers(0, 2, 37)
        terms = np.pad(
            bias.astype(np.float64), (0, len(packed) * kernels.terms - 37), constant_values=-np.inf
        )
        zeros = np.zeros(len(terms))
        found = kernels.screen(
            hidden, packed, TermBounds(terms, zeros, zeros), TextBounds(np.ones(3), np.zeros(3), np.zeros(3))
        )
        for i in range(3):
            assert found[i].tolist() == np.flatnonzero(pooled[i] + bias > 0).tolist()
        assert len(found[text])


@pytest.mark.parametrize("length", [1, 7, 33])
def test_no_magnitudes_defeat_the_bound(level, length):
    for seed, (d, vocabulary) in enumerate([(4, 49), (48, 300), (128, 300)]):
        check(*random_case(seed, 2, length, d, vocabulary, spread=seed), level)
    for seed, largest in enumerate([-30, 0, 30]):
        check(*extreme_case(seed, largest, length=length), level)


MODELS = {
    "BERT-Tiny": bert,
    "one head, another epsilon": lambda: bert(64, 1, 64, layer_norm_eps=1e-3),
    "heads of 32": lambda: bert(64, 1, 448, num_attention_heads=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_hidden_states_are_as_near_to_the_truth_as_the_models_own(level, name):
    model = MODELS[name]()
    assert compiles(model)
    ours, theirs, true = CompiledBody(model), ModelBody(model), ModelBody(copy.deepcopy(model).double())
    for length in (1, 5, 6, 17):  # tiles of six rows, registers of 16
        ids = tokens(5, length)
        with torch.inference_mode():
            expected = hidden_states(true.model, input_ids=torch.from_numpy(ids))
        our_error, their_error = (body(ids) - expected for body in (ours, theirs))
        assert rms(our_error) <= 1.5 * rms(their_error)
        assert our_error.abs().max() <= 4e-6 * expected.abs().max()


def test_layers_as_products_of_int8(level):
    check_products(native.kernels(), [(5, 48, 64), (7, 144, 48), (2, 384, 16)])
    check_no_number(native.kernels())
