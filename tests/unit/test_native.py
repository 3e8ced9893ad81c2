"""The compiled library: which is loaded, what if it is damaged, and that no call reaches beyond an array."""

import _ctypes
import ctypes
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, kernels_of, run

from repro.base.errors import InputError
from repro.compiled import native
from repro.compiled.head_kernels import TermBounds, TextBounds
from repro.compiled.layer_kernels import BLOCK_TOKENS, HEADS, MOST_TOKENS, PANEL_DEPTH, ROWS
from repro.compiled.levels import SHAPES
from repro.compiled.loaded import SIGNATURES

TYPES = {"int64_t": ctypes.c_int64, "float": ctypes.c_float}


@pytest.fixture(autouse=True)
def own_choice(monkeypatch):
    """Whatever level the tests are run with."""
    monkeypatch.delenv("REPRO_NATIVE", raising=False)


@pytest.fixture(scope="module")
def library() -> Path:
    """The library that this installation has."""
    found = next(native.libraries(), None)
    if found is None:
        pytest.skip("no compiled kernels: the package was installed without a C compiler")
    return found


@pytest.fixture
def only(monkeypatch):
    """Return a function that makes some files the only ones that can be loaded."""
    native.kernels.cache_clear()
    yield lambda *files: monkeypatch.setattr(native, "libraries", lambda: iter(files))
    native.kernels.cache_clear()


@pytest.fixture
def elsewhere(tmp_path):
    """An installation of its own: this package, and in its folder whatever library a test puts there."""
    folder = tmp_path / "installed"
    folder.mkdir()
    (folder / "repro").symlink_to(REPOSITORY / "repro")
    (folder / "sitecustomize.py").write_text("import site\nsite.getsitepackages = lambda: []\n")
    return folder


def damaged(folder: Path, library: Path, damage: str) -> Path:
    """Write a library that cannot be used."""
    path, whole = folder / native.FILES[0], library.read_bytes()
    if damage == "without symbols":  # a library, but not this one
        whole = Path(_ctypes.__file__).read_bytes()
    elif damage == "garbage":
        whole = b"no library at all\n" * 1000
    elif damage != "whole":
        whole = whole[: int(damage)]
    path.write_bytes(whole)
    return path


DAMAGE = ["0", "50", "1000", "5000", "30000", "garbage", "without symbols"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_library_is_told_of_once_and_done_without(only, tmp_path, library, damage, capsys):
    path = damaged(tmp_path, library, damage)
    only(path)
    assert native.kernels() is None and native.kernels() is None
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {path} ") and "pip install" in warning


def test_a_library_of_another_build_is_told_of_and_done_without(only, library, monkeypatch, capsys):
    if native.choose().kernels is None:
        pytest.skip("a processor without AVX2")
    only(library)
    monkeypatch.setattr(native, "ABI", native.ABI + 1)
    assert native.kernels() is None
    assert f"is of another build (ABI {native.ABI - 1}, expected {native.ABI})" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["5000", "without symbols"])
def test_a_process_survives_a_damaged_library(elsewhere, library, damage):
    """In a process of its own: loading a file that is cut short is a bus error. Doctor says what it found."""
    path = damaged(elsewhere, library, damage)
    done = run("repro.doctor", cwd=elsewhere.parent, PYTHONPATH=str(elsewhere))
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "compiled kernels" in line)
    assert line.startswith("ok ") and "none, encoding is slower" in line and str(path) in line
    done = run("repro.doctor", cwd=elsewhere.parent, PYTHONPATH=str(elsewhere), REPRO_NATIVE="avx2")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "compiled kernels" in line)
    assert line.startswith("NO ") and "REPRO_NATIVE=avx2 cannot be used" in line


def test_the_library_beside_the_package_is_found(elsewhere, library):
    """As an editable installation has it, whose library lies in the checkout."""
    damaged(elsewhere, library, "whole")
    done = run("repro.doctor", cwd=elsewhere.parent, PYTHONPATH=str(elsewhere))
    assert native.choose().reason.startswith("this processor") or "for AVX" in done.stdout


def test_no_library_of_the_current_folder_is_loaded(tmp_path, library):
    """``python -m`` has it searched first; what lies there must not stand in for what is installed."""
    (tmp_path / native.FILES[0]).write_bytes(b"no library at all\n" * 1000)
    (tmp_path / "repro_native.py").write_text("raise SystemExit('the current folder was searched')\n")
    done = run("repro.doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no library at all" not in done.stdout and str(tmp_path / "repro_native") not in done.stdout
    assert native.choose().kernels is None or "for AVX" in done.stdout


@pytest.mark.parametrize("level", native.LEVELS)
def test_a_level_that_is_named_is_used_or_refused(level, monkeypatch):
    monkeypatch.setenv("REPRO_NATIVE", level)
    with kernels_of(level):  # skips the rest where it cannot run
        assert native.choose().kernels.level == level
    monkeypatch.setattr(native, "open_kernels", lambda level: None)  # as on a processor without it
    with pytest.raises(InputError, match=f"REPRO_NATIVE={level} cannot be used: this processor has no"):
        native.choose()


def test_a_level_that_is_named_is_refused_without_a_library(only, library, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_NATIVE", "avx2")
    only(damaged(tmp_path, library, "garbage"))
    with pytest.raises(InputError, match=r"REPRO_NATIVE=avx2 cannot be used: .* does not load"):
        native.choose()
    only()
    with pytest.raises(InputError, match="REPRO_NATIVE=avx2 cannot be used: none were built"):
        native.choose()


def test_an_unknown_level_is_refused(monkeypatch):
    monkeypatch.setenv("REPRO_NATIVE", "sse")
    with pytest.raises(InputError, match="REPRO_NATIVE=sse: expected one of 0, avx512, avxvnni, avx2"):
        native.choose()


def test_none_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("REPRO_NATIVE", "0")
    assert native.choose() == native.Choice(None, "switched off by REPRO_NATIVE=0")


DECLARING = ("body.h", "body_int8.h", "head.h")


def prototypes() -> dict[str, list[str]]:
    """The types of each kernel's arguments, as the C sources declare them."""
    source = "".join((REPOSITORY / "native" / name).read_text() for name in DECLARING)
    found = re.findall(r"TARGET void NAME\((\w+)\)\(([^)]*)\)", source)
    return {name: [argument.strip() for argument in arguments.split(",")] for name, arguments in found}


def test_kernels_are_called_as_the_c_sources_declare_them():
    declared = prototypes()
    assert declared.keys() == SIGNATURES.keys()
    for name, arguments in declared.items():
        types = [ctypes.c_void_p if "*" in a else TYPES[a.split()[0]] for a in arguments]
        assert tuple(types) == SIGNATURES[name], name


def test_the_abi_number_counts_up_with_what_it_stands_for():
    """If this fails: add one to ABI in simd.h and native.py, and put the number and the new checksum here."""
    stated = re.search(r"#define ABI (\d+)", (REPOSITORY / "native" / "simd.h").read_text())
    assert int(stated[1]) == native.ABI
    sizes = ROWS, HEADS, BLOCK_TOKENS, PANEL_DEPTH, MOST_TOKENS
    what = json.dumps([prototypes(), SHAPES, *sizes], sort_keys=True)
    assert (native.ABI, hashlib.sha256(what.encode()).hexdigest()[:12]) == (6, "96944551590d")


@pytest.fixture(params=native.LEVELS)
def kernels(request):
    """The kernels of each level."""
    with kernels_of(request.param):
        yield native.kernels()


def calls(kernels):
    """What each method can be called with."""
    rng = np.random.default_rng(1)

    def floats(*shape):
        return rng.normal(size=shape).astype(np.float32)

    packed = kernels.pack_terms(rng.integers(-9, 9, (100, 32)).astype(np.int8))
    padded = packed.shape[0] * packed.shape[2]
    return {
        "screen": {
            "hidden": rng.integers(-9, 9, (2, 5, 32)).astype(np.int8),
            "packed": packed,
            "terms": TermBounds(*rng.normal(size=(3, padded))),
            "texts": TextBounds(*rng.random((3, 2))),
        },
        "exact": {
            "hidden": floats(5, 32),
            "weight": floats(100, 32),
            "bias": floats(100),
            "terms": np.array([3, 99, 0], np.int32),
        },
        "embed": {
            "ids": np.array([[3, 99], [0, 1]]),
            "words": floats(100, 64),
            "positions": floats(8, 64),
            "x": floats(4, 64),
        },
        "linear": {
            "x": floats(5, 64),
            "packed": kernels.pack_columns(floats(128, 64)),
            "bias": floats(128),
            "gelu": True,
            "y": floats(5, 128),
        },
        "attention": {"qkv": floats(6, 192), "texts": 2, "head": 32, "context": floats(6, 64)},
        "add_normalise": {
            "x": floats(5, 64),
            "added": floats(5, 64),
            "gain": floats(64),
            "bias": floats(64),
            "epsilon": 1e-12,
        },
    }


METHODS = ["screen", "exact", "embed", "linear", "attention", "add_normalise"]
OTHER = {"float32": "float64", "float64": "float32", "int8": "uint8", "uint8": "int8"}
OTHER |= {"int32": "int64", "int64": "int32"}


@pytest.mark.parametrize("method", METHODS)
def test_arrays_that_a_kernel_would_misread_are_refused(kernels, method):
    """Another number format (32-bit ids were a segmentation fault), strides, too few numbers."""
    arguments = calls(kernels)[method]
    getattr(kernels, method)(**arguments)
    tried = 0
    for name, value in arguments.items():
        for array, put in places(value):
            wrong = [array.astype(OTHER[str(array.dtype)]), np.repeat(array, 2, axis=-1)[..., ::2]]
            if name != "terms" or method != "exact":  # of which there may be any number
                wrong.append(array[..., :-1].copy())
            for other in wrong:
                with pytest.raises(ValueError, match=r"expected"):
                    getattr(kernels, method)(**{**arguments, name: put(other)})
                tried += 1
    assert tried >= 6


def test_numbers_that_rounding_would_misread_are_refused(kernels):
    vectors = np.ones((2, 5, 32), np.float32)
    for method in (kernels.round_texts, kernels.round_terms):
        assert method(vectors).values.shape == (2, 5, 32)
        for wrong in (vectors.astype(np.float64), np.repeat(vectors, 2, axis=-1)[..., ::2]):
            with pytest.raises(ValueError, match="vectors: expected contiguous float32"):
                method(wrong)


def places(value):
    """Yield each array of an argument, and a function that puts another in its place."""
    if isinstance(value, np.ndarray):
        yield value, lambda other: other
    elif isinstance(value, tuple):
        for field, array in value._asdict().items():
            yield array, lambda other, field=field: value._replace(**{field: other})


@pytest.mark.parametrize("wrong", [-1, 100, -(2**31), 2**31 - 1])
def test_ids_that_number_nothing_are_refused(kernels, wrong):
    arguments = calls(kernels)
    for method, name in (("exact", "terms"), ("embed", "ids")):
        ids = arguments[method][name].copy()
        ids.flat[1] = wrong
        with pytest.raises(IndexError, match=f"{wrong}, but the model has ids from 0 to 99"):
            getattr(kernels, method)(**{**arguments[method], name: ids})


def test_shapes_that_the_kernels_do_not_compute_are_refused(kernels):
    arguments = calls(kernels)
    too_long = {**arguments["embed"], "ids": np.zeros((1, 9), np.int64), "x": np.zeros((9, 64), np.float32)}
    with pytest.raises(IndexError, match="9 tokens: the model has 8 positions"):
        kernels.embed(**too_long)
    with pytest.raises(ValueError, match="at least one token"):
        kernels.exact(**{**arguments["exact"], "hidden": np.zeros((0, 32), np.float32)})
    with pytest.raises(ValueError, match="multiple of 4"):
        kernels.attention(np.zeros((6, 192), np.float32), 4, 64, np.zeros((6, 64), np.float32))
    with pytest.raises(ValueError, match=r"head: expected one of \(32, 64\), got 16"):
        kernels.attention(np.zeros((6, 192), np.float32), 2, 16, np.zeros((6, 64), np.float32))
    with pytest.raises(ValueError, match="expected at most 6 queries, got 8"):
        kernels.attention(np.zeros((6, 192), np.float32), 2, 64, np.zeros((8, 64), np.float32))
    with pytest.raises(ValueError, match="queries: expected a multiple of 2, got 3"):
        kernels.attention(np.zeros((6, 192), np.float32), 2, 64, np.zeros((3, 64), np.float32))
    with pytest.raises(ValueError, match="d a multiple of 4"):
        kernels.pack_terms(np.zeros((5, 30), np.int8))
    with pytest.raises(ValueError, match="magnitudes up to"):
        kernels.pack_terms(np.full((5, 32), -128, np.int8))
    with pytest.raises(ValueError, match="rows, got float32"):
        kernels.pack_columns(np.zeros((100, 64), np.float32))
    with pytest.raises(ValueError, match="at most 131072 dimensions"):
        kernels.screen(**{**arguments["screen"], "hidden": np.zeros((1, 1, 2**17 + 4), np.int8)})


def test_memory_that_must_not_be_written_is_refused(kernels):
    arguments = calls(kernels)
    for method, name in (("embed", "x"), ("linear", "y"), ("attention", "context"), ("add_normalise", "x")):
        arguments[method][name].flags.writeable = False
        with pytest.raises(ValueError, match="can be written"):
            getattr(kernels, method)(**arguments[method])


def test_what_is_accepted_is_computed(kernels):
    """On small shapes, which end within tiles, against NumPy; tests/parity has whole models."""
    given = calls(kernels)
    exact = given["exact"]
    expected = (exact["hidden"] @ exact["weight"].T).max(axis=0) + exact["bias"]
    np.testing.assert_allclose(kernels.exact(**exact), expected[exact["terms"]], rtol=1e-4, atol=1e-4)
    embed = given["embed"]
    kernels.embed(**embed)
    expected = embed["words"][embed["ids"].ravel()] + embed["positions"][[0, 1, 0, 1]]
    np.testing.assert_array_equal(embed["x"], expected)
    norm = given["add_normalise"]
    x = norm["x"] + norm["added"]
    expected = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) * norm["gain"] + norm[
        "bias"
    ]
    kernels.add_normalise(**norm)
    np.testing.assert_allclose(norm["x"], expected, rtol=1e-4, atol=1e-4)
    screen = given["screen"]
    weights = np.random.default_rng(1).integers(-9, 9, (100, 32))  # what was packed
    pooled = (screen["hidden"].astype(int) @ weights.T).max(axis=1)
    terms, texts = (
        [bound[: len(pooled[0])] for bound in bounds] for bounds in (screen["terms"], screen["texts"])
    )
    for i, found in enumerate(kernels.screen(**screen)):
        upper = pooled[i] + texts[0][i] * terms[0] + texts[1][i] * terms[1] + texts[2][i] * terms[2]
        found = found[found < 100]
        assert found.tolist() == np.flatnonzero(upper > 0).tolist() and 0 < len(found) < 100
