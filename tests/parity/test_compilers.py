"""The kernels as other compilers than the installation's build them, and the level that few machines have.

Processors with AVX-VNNI alone are rare among those that run tests: with BY_AVX512VL its kernels have the same
instruction as AVX-512 encodes it, all else being equal.
"""

import copy
import shutil
import subprocess
from unittest import mock

import pytest
import torch
from conftest import REPOSITORY, kernels_of
from test_body import bert, rms, tokens
from test_body_int8 import check_no_number, check_products
from test_head import check, extreme_case, parallel_case, random_case, screened

from repro.compiled import native
from repro.compiled.body import CompiledBody, compiles
from repro.splade.bypass import ModelBody, hidden_states

SOURCES = sorted(map(str, (REPOSITORY / "native").glob("*.c")))
FLAGS = ["-O3", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
COMPILERS = ("gcc", "clang")
BUILDS = [(compiler, level, ()) for compiler in COMPILERS for level in native.LEVELS]
if "avxvnni" in native.LEVELS:
    BUILDS += [(compiler, "avxvnni", ("-DBY_AVX512VL",)) for compiler in COMPILERS]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """Return a function that builds the library, once with the same compiler and macros."""
    built = {}

    def build(compiler: str, macros: tuple[str, ...]):
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed")
        if (compiler, macros) not in built:
            path = tmp_path_factory.mktemp(compiler) / native.FILES[0]
            subprocess.run([compiler, *FLAGS, *macros, *SOURCES, "-o", str(path)], check=True)
            built[compiler, macros] = path
        return built[compiler, macros]

    return build


@pytest.fixture(params=BUILDS, ids=lambda build: "-".join((build[0], build[1], *build[2])))
def level(request, libraries):
    """Run the test with the kernels of each level of each build, as if it were the installed one."""
    compiler, name, macros = request.param
    path = libraries(compiler, macros)
    with mock.patch.object(native, "libraries", return_value=[path]), kernels_of(name):
        yield name


def test_head(level):
    """Tiles of every size, adversarial bounds, sums that reach their limits."""
    for seed, (d, length) in enumerate([(16, 7), (48, 13), (128, 12), (256, 15)]):
        check(*random_case(seed, 2, length, d, 300, spread=seed), level)
        check(*extreme_case(seed, -30 + 20 * seed, length=length), level)
        found, expected = screened(native.kernels(), *parallel_case(seed, d, length=length))
        assert found == expected


def test_body(level):
    """Hidden states are as near to the truth as the model's own."""
    model = bert()
    assert compiles(model)
    ours, theirs, true = CompiledBody(model), ModelBody(model), ModelBody(copy.deepcopy(model).double())
    for length in (1, 5, 17, 64):
        ids = tokens(5, length)
        with torch.inference_mode():
            expected = hidden_states(true.model, input_ids=torch.from_numpy(ids))
        our_error, their_error = (body(ids) - expected for body in (ours, theirs))
        assert rms(our_error) <= 1.5 * rms(their_error)


def test_layers_as_products_of_int8(level):
    check_products(native.kernels())
    check_no_number(native.kernels())
