"""Every posting against the plain float32 formula (the model's own full logits), on real text."""

import itertools
import os

import pytest
from conftest import kernels_of, real_collection, run_here, succeed

from repro.base.files import read_json
from repro.benchmarks.exactness import compare
from repro.collections.opening import open_collection
from repro.compiled import native
from repro.models.systems import find_system
from repro.models.weights import resolve


def check(texts, precision="exact"):
    *_, found = compare(resolve(find_system("splade-tiny")).path, texts, 2, precision)
    assert found.texts == len(texts) and found.postings > 50 * len(texts)
    assert found.differing == 0 and found.largest_difference < 1e-5
    assert found.excused <= found.near_boundary < 0.02 * found.postings


@pytest.mark.parametrize("level", [*native.LEVELS, "none"])
def test_sample_is_exact(level):
    with kernels_of(level):
        documents = itertools.islice(open_collection("sample").documents(), 0, None, 16)
        check([document.text for document in documents])


def test_float32_is_exact():
    check([document.text for document in open_collection("sample").documents()][::32], "float32")


def test_ms_marco_is_exact():
    """200 passages or 1,000; `python -m repro.bench exactness` compares all (README has the counts)."""
    folder = real_collection("msmarco-mini")
    documents = open_collection(str(folder), "dl19").documents()
    every = 46 if os.environ.get("REPRO_LONG") else 230
    check([document.text for document in itertools.islice(documents, 0, 46_000, every)])


def test_precision_is_recorded_and_bf16_is_another_artifact(tmp_path):
    stage = ["repro.encode", "--system", "splade-tiny", "--only", "queries"]
    succeed(*stage, cwd=tmp_path, by=run_here)
    path = tmp_path / "work/encoded/sample/splade-tiny.sample.queries.manifest.json"
    settings = read_json(path)["settings"]
    methods = ("int8 screening", "bf16 screening", "float32")
    assert settings["precision"] == "exact" and settings["method"] in methods
    assert settings["kernels"] in (*native.LEVELS, "none")
    succeed(*stage, "--precision", "float32", cwd=tmp_path, by=run_here)
    assert read_json(path)["settings"] == settings  # the same impacts: nothing to do
    succeed(*stage, "--precision", "bf16", cwd=tmp_path, by=run_here)
    found = read_json(path)["settings"]
    assert (found["precision"], found["method"]) == ("bf16", "unscreened bf16")
