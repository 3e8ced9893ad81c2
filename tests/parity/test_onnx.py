"""The exported ONNX model in onnxruntime and in Anserini's own encoder, against the model itself."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY, refused, run_here, succeed

from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.encoder import SpladeEncoder
from repro.splade.onnx import largest_difference


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    path = succeed("repro.export", "onnx", "--system", "splade-tiny", cwd=folder, by=run_here).strip()
    return folder / path


def test_it_equals_the_model_on_texts_of_all_lengths(folder):
    texts = [document.text for document, _ in zip(open_collection("sample").documents(), range(20))]
    texts += ["", "a", " ".join(texts)]
    assert largest_difference(resolve(find_system("splade-tiny")).path, folder, texts) < 1e-4


def test_anserinis_encoder_takes_it(folder, tmp_path):
    """Anserini looks for its own models below the home folder, under their names."""
    home = tmp_path / ".cache/pyserini/encoders"
    home.mkdir(parents=True)
    shutil.copy(folder / "model.onnx", home / "splade-pp-ed-optimized.onnx")
    shutil.copy(folder / "vocab.txt", home / "splade-pp-ed-vocab.txt")
    (home / "SpladePlusPlusEnsembleDistilEncoder-config.json").write_text("{}")
    queries = [query.text for query, _ in zip(open_collection("sample").queries(), range(20))]
    (tmp_path / "queries.json").write_text(json.dumps(queries))
    script = f"""if True:
        import json, jnius_config
        jnius_config.add_options("-Duser.home={tmp_path}")
        from repro.lucene.java import start_jvm
        start_jvm()
        from jnius import autoclass
        encoder = autoclass("io.anserini.encoder.sparse.SpladePlusPlusEnsembleDistilEncoder")()
        found = []
        for query in json.load(open({str(tmp_path / "queries.json")!r})):
            weights, entry = {{}}, encoder.encode(query).entrySet().iterator()
            while entry.hasNext():
                pair = entry.next()
                weights[pair.getKey()] = int(pair.getValue())
            found.append(weights)
        print(json.dumps(found))
    """
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    encoder = SpladeEncoder(resolve(find_system("splade-tiny")).path)
    ours = list(encoder.impact_vectors(encoder.encode(queries)))
    for query, expected, found in zip(queries, ours, theirs):
        found = {term: impact for term, impact in found.items() if impact}
        assert found.keys() == expected.keys(), query
        assert all(abs(found[term] - expected[term]) <= 1 for term in found)
        assert sum(found[term] != expected[term] for term in found) <= 1


def test_only_splade_models_are_exported(tmp_path):
    error = refused("repro.export", "onnx", "--system", "all-minilm-l6-v2", cwd=tmp_path, by=run_here)
    assert "only SPLADE models are exported" in error
