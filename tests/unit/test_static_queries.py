"""Queries without inference: the weights of their tokens, folders that have some, names, recipes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.cli.options import CollectionOptions, WorkOptions
from repro.models.router import documents_folder, read_router
from repro.models.systems import find_system, located, part_names
from repro.models.trained import trained_on
from repro.models.weights import Weights, resolve
from repro.pipeline.opening import open_artifacts
from repro.splade.static_queries import StaticQueryEncoder, idf
from repro.training.recipe import read_recipe

FREQUENCIES = {"moon": 3, "sea": 10, "##s": 1, "[UNK]": 2}
DOCUMENTS = 10
MODULES = "sentence_transformers.sparse_encoder.modules."


def weight(term):
    found = FREQUENCIES[term]
    return math.log(1 + (DOCUMENTS - found + 0.5) / (found + 0.5))


@pytest.fixture
def encoder(monkeypatch):
    """An encoder whose index has these terms, and no other."""
    counted = (DOCUMENTS, FREQUENCIES)
    monkeypatch.setattr("repro.lucene.statistics.document_frequencies", lambda index: counted)
    return StaticQueryEncoder("splade-tiny", "index")


def test_tokens_of_the_index_count_once_each_and_special_ones_do_not(encoder):
    vectors = encoder.encode(["The seas of the MOON, moon, moon \u2603 [SEP]", "", "tides"], prefix="sea ")
    found = [
        {encoder.vocabulary[i]: v for i, v in zip(row.indices.tolist(), row.data.tolist())} for row in vectors
    ]
    assert found == [
        {term: pytest.approx(weight(term)) for term in ("sea", "moon")},  # "seas" is a token of its own
        {"sea": pytest.approx(weight("sea"))},
        {"sea": pytest.approx(weight("sea"))},
    ]
    assert vectors.dtype == np.float32 and vectors.has_canonical_format
    assert list(encoder.impacts(["moon sea"])) == [
        {"sea": round(weight("sea") * 256 / 5), "moon": round(weight("moon") * 256 / 5)}
    ]
    assert encoder.encode(["sea sea sea moon"], max_length=3).nnz == 1
    assert encoder.parameters == 0 and encoder.encode([]).shape == (0, len(encoder.vocabulary))
    with pytest.raises(TypeError, match="found one string"):
        encoder.encode("moon")


def test_idf_is_positive_even_of_a_term_in_all_documents():
    assert idf(10, np.array([0, 10])).tolist() == pytest.approx(
        [math.log(1 + 10.5 / 0.5), math.log(1 + 0.5 / 10.5)]
    )


def test_without_an_index_a_model_must_have_weights_of_its_own():
    with pytest.raises(InputError, match="splade-tiny has no weights of queries' tokens; name an index"):
        StaticQueryEncoder("splade-tiny")


def router(
    folder: Path, documents: str = "", pooling: dict | None = None, query: str = "SparseStaticEmbedding"
):
    """Write the files by which an inference-free model is known; its SPLADE model lies in ``documents``."""
    names = {
        documents: "sentence_transformers.base.modules.transformer.Transformer",
        "document_1_SpladePooling": f"{MODULES}splade_pooling.SpladePooling",
        "query_0": query if "." in query else f"{MODULES}sparse_static_embedding.{query}",
    }
    structure = {"document": [documents, "document_1_SpladePooling"], "query": ["query_0"]}
    (folder / "document_1_SpladePooling").mkdir(parents=True)
    (folder / "document_1_SpladePooling/config.json").write_text(json.dumps(pooling or {}))
    (folder / "router_config.json").write_text(json.dumps({"types": names, "structure": structure}))
    return folder


@pytest.mark.parametrize("documents", ["", "document_0_MLMTransformer"])
def test_the_sides_of_an_inference_free_model_are_found(tmp_path, documents):
    """In OpenSearch's folders, and as Sentence Transformers saves them."""
    folder = router(tmp_path / "model", documents, query="IDF")
    found = read_router(folder)
    assert (found.documents, found.queries) == (documents, "query_0")
    assert documents_folder(folder) == folder / documents
    assert read_router(tmp_path) is None and documents_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pooling": {"activation_function": "log1p_relu"}}, "with max and relu .* found max and log1p_relu"),
        ({"query": "own_code.SparseStaticEmbedding"}, "expected a masked language model with SpladePooling"),
        ({"query": "Transformer"}, "and a SparseStaticEmbedding for queries"),
    ],
)  # fmt: skip
def test_a_router_of_other_modules_is_refused(tmp_path, change, told):
    with pytest.raises(InputError, match=told):
        read_router(router(tmp_path / "model", **change))


def test_the_index_is_that_of_the_splade_system(tmp_path):
    system = find_system("splade-doc:splade-tiny")
    assert (system.name, system.kind, system.indexed.name) == (
        "splade-doc.splade-tiny",
        "splade-doc",
        "splade-tiny",
    )
    assert not system.published and system.query_max_length == 256
    assert resolve(system) == resolve(find_system("splade-tiny"))
    assert part_names("bm25+splade-doc:splade-tiny") == ["bm25", "splade-doc:splade-tiny"]
    (tmp_path / "final").mkdir()
    own = located(find_system(f"splade-doc:{tmp_path}/final"), Weights(tmp_path, "", "abcdef" * 10), tmp_path)
    assert own.name == f"splade-doc.{own.indexed.name}" == "splade-doc.splade.final-abcdef"


@pytest.mark.parametrize(
    ("name", "spec", "indexed"),
    [
        ("splade-doc:splade-tiny", "splade-doc:splade-tiny", "splade-tiny"),
        ("splade-doc:owner/model@main", "splade-doc:owner/model@main", "splade:owner/model@main"),
        ("splade-doc:./m", "splade-doc:m", "splade:m"),
        ("dense:../here/m", "dense:m", "dense:m"),
        ("splade-doc:m+bm25>>cross-encoder:./m", "splade-doc:m+bm25>>cross-encoder:m", None),
    ],
)
def test_a_system_knows_what_calls_it(name, spec, indexed, tmp_path, monkeypatch):
    (tmp_path / "here/m").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    system = find_system(name)
    assert (system.spec, system.indexed.spec) == (spec, indexed or spec)
    assert find_system(spec).name == system.name


def test_queries_depend_on_the_index_unless_the_model_has_weights_for_them(beir, tmp_path, monkeypatch):
    monkeypatch.chdir(beir.parent)
    of = open_artifacts("splade-doc:splade-tiny", CollectionOptions("tiny"), WorkOptions(tmp_path / "work"))
    own = Weights(router(tmp_path / "model"), "", "0" * 64)
    assert of.queries.inputs["index"] == of.index.fingerprint
    assert "index" not in replace(of, weights=own).queries.inputs


def test_no_other_system_has_the_name_of_a_document_only_one(tmp_path):
    names = []
    for folder in ("splade-doc.splade-tiny", "splade-tiny", "doc.splade-tiny"):
        (tmp_path / "trained" / folder).mkdir(parents=True)
        for kind in ("splade", "splade-doc", "dense"):
            system = find_system(f"{kind}:{tmp_path}/trained/{folder}")
            names.append(located(system, Weights(tmp_path, "", "0" * 64), tmp_path).name)
    names += ["splade-tiny", "splade-doc.splade-tiny"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["splade-doc:bm25", "splade-doc:all-minilm-l6-v2"])
def test_only_a_splade_model_encodes_documents_for_it(name):
    with pytest.raises(InputError, match=f"--system {name}: expected a SPLADE model"):
        find_system(name)


def test_a_trained_model_with_static_queries_has_a_row_of_its_kind(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "trained" / name).mkdir(parents=True)
        inputs = {"recipe": {"data": {"collection": "sample", "split": "train"}}}
        (tmp_path / "trained" / f"{name}.manifest.json").write_text(json.dumps({"inputs": inputs}))
    router(tmp_path / "trained" / "two")
    kinds = [name.partition(":")[0] for name in trained_on(CollectionOptions(), tmp_path)]
    assert kinds == ["splade", "splade-doc"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"margin_scale": "auto"}, "margin_scale: expected a number beside query_encoder: idf, found 'auto'"),
        ({"teacher_share": "0.5"}, "teacher_share: expected 1 beside"),
        ({"bm25_share": "0.5"}, "bm25_share: expected 0 beside"),
        ({"term_factors": "true"}, "term_factors: expected false beside"),
        ({"active_terms": "base"}, "active_terms: expected null beside"),
        ({"averages": "[0.5]", "held_out": "0"}, "averages: expected \\[\\] beside"),
        ({"query_regularizer_weight": "1"}, "query_regularizer_weight: expected 0 beside .* found 1.0"),
        ({"query_encoder": "static"}, "query_encoder: expected one of model, idf, learned, found 'static'"),
    ],
)  # fmt: skip
def test_a_recipe_that_compares_with_the_base_is_refused_with_static_queries(change, expected):
    with pytest.raises(InputError, match=expected):
        read_recipe("sample-doc", {"query_encoder": "idf", **change})
