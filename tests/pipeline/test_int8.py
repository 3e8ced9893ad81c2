"""--precision int8: dense models' rows of rounded products, which are never taken for exact ones."""

import json
import shlex

import numpy as np
import pytest
from conftest import refused, run_here, succeed, write_beir

from repro.base.files import read_json
from repro.cli.options import EncodingOptions, SystemOptions
from repro.cli.parsing import arguments
from repro.compiled import native
from repro.engines import deciding
from repro.formats.embeddings import read_embeddings
from repro.models.systems import find_system

SYSTEM = "all-minilm-l6-v2"
ENCODE = ("repro.encode", "--collection", "tiny", "--system", SYSTEM)
INT8 = ("--precision", "int8")


@pytest.fixture
def folder(tmp_path):
    """A folder with a tiny collection; skip where dense models have no compiled layers."""
    if native.kernels() is None:
        pytest.skip("no compiled kernels")
    write_beir(tmp_path / "tiny")
    return tmp_path


def encoded(folder, *options: str) -> tuple[np.ndarray, dict]:
    """Encode, and return the documents' vectors and their manifest."""
    succeed(*ENCODE, *options, cwd=folder, by=run_here)
    made = folder / "work/encoded/tiny" / SYSTEM
    manifest = read_json(made.with_name(f"{SYSTEM}.manifest.json"))
    return np.concatenate([np.array(vectors) for _, vectors in read_embeddings(made)]), manifest


def test_they_are_artifacts_of_their_own(folder):
    exact, of_exact = encoded(folder)
    assert set(of_exact["inputs"]) == {
        *("stage", "format", "corpus", "max_length", "prefix", "weights", "pooling", "normalise")
    }  # what they were before there was a choice: those of then are current
    rounded, of_rounded = encoded(folder, *INT8)
    assert of_rounded["inputs"] == {**of_exact["inputs"], "precision": "int8"}
    assert [of["settings"]["precision"] for of in (of_exact, of_rounded)] == ["exact", "int8"]
    cosines = (exact * rounded).sum(axis=1)
    assert not np.array_equal(rounded, exact) and (cosines > 0.98).all() and (cosines < 0.99999).any()
    again, manifest = encoded(folder)
    np.testing.assert_array_equal(again, exact)
    assert manifest["inputs"] == of_exact["inputs"]


def test_the_table_names_them(folder):
    command = ("repro.table", "--collection", "tiny")
    succeed(*command, "--systems", SYSTEM, *INT8, cwd=folder, by=run_here)
    (row,) = json.loads((folder / "tables/tiny-test.json").read_text())["rows"]
    assert (row["status"], row["options"]) == ("measured", "--precision int8")
    assert f"| {SYSTEM}, int8 | dense " in (folder / "tables/tiny-test.md").read_text()
    succeed(*command, "--check", cwd=folder, by=run_here)


DECIDING = {
    (SYSTEM, "int8"): "--precision int8",
    (SYSTEM, "bf16"): "",
    ("splade-tiny", "int8"): "--scale 100.0",
    ("splade-tiny", "bf16"): "--scale 100.0 --precision bf16",
    ("bm25", "int8"): "",
    (f"bm25+{SYSTEM}", "int8"): "--precision int8",
    (f"splade-tiny+{SYSTEM}", "int8"): "--scale 100.0 --precision int8",
}


@pytest.mark.parametrize(("system", "precision"), DECIDING)
def test_a_row_names_the_options_that_decide_its_figures(system, precision):
    options = SystemOptions(encoding=EncodingOptions(scale=100.0, precision=precision))
    line = shlex.join(arguments(*deciding(find_system(system), options)))
    assert line == DECIDING[system, precision]


@pytest.mark.parametrize(
    ("system", "precision", "takes"),
    [("splade-tiny", "int8", "exact or float32 or bf16"), (SYSTEM, "bf16", "exact or int8")],
)
def test_what_a_kind_of_model_has_not_is_refused(folder, system, precision, takes):
    command = ("repro.encode", "--collection", "tiny", "--system", system, "--precision", precision)
    expected = f"error: {system}: --precision {precision} is not of this kind of model; it takes {takes}"
    assert refused(*command, cwd=folder, by=run_here) == expected
