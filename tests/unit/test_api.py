"""What ``import repro`` offers for encoding: names, shapes, sources of a model, errors."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from test_house import HEAVY

import repro
from repro import InputError, SpladeEncoder, accelerate
from repro.models.systems import find_system
from repro.models.weights import resolve

TEXTS = ["The moon pulls the oceans.", "", "Yeast makes bread rise, and the sea rises with the moon."]


@pytest.fixture(scope="module")
def folder():
    return resolve(find_system("splade-tiny")).path


@pytest.fixture(scope="module")
def encoder(folder):
    return SpladeEncoder(folder, threads=2)


@pytest.fixture
def sparse_encoder(folder):
    body = Transformer(str(folder), transformer_task="fill-mask", max_seq_length=9)
    return SparseEncoder(modules=[body, SpladePooling("max")], device="cpu")


def test_importing_repro_loads_nothing_heavy_and_every_name_is_there():
    code = f"import sys, repro; assert not {HEAVY | {'numpy', 'scipy'}!r} & set(sys.modules); dir(repro)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(callable(getattr(repro, name)) for name in repro.__all__)
    assert set(repro.__all__) <= set(dir(repro))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        repro.nothing  # noqa: B018


def test_vectors_are_a_float32_matrix(encoder):
    vectors = encoder.encode(TEXTS)
    assert isinstance(vectors, csr_matrix) and vectors.dtype == np.float32
    assert vectors.shape == (3, len(encoder.vocabulary)) == (3, 30522)
    assert (vectors.data > 0).all() and vectors.getnnz(axis=1).min() > 0
    for row in vectors:
        assert (np.diff(row.indices) > 0).all()
    assert encoder.encode([]).shape == (0, 30522)


def assert_equal(found, expected):
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-6)


def test_texts_are_read_as_they_are_needed(encoder):
    read = []

    def stream():
        for text in TEXTS * 2:
            read.append(text)
            yield text

    batches = encoder.encode_batches(stream(), size=2)
    first = next(batches)
    assert len(read) == 2 and first.shape[0] == 2
    expected = encoder.encode(TEXTS * 2)
    assert_equal(first, expected[:2])
    assert [part.shape[0] for part in batches] == [2, 2]
    assert_equal(encoder.encode(iter(TEXTS * 2)), expected)


def test_prefix_and_length(encoder):
    assert_equal(encoder.encode(["sea"], prefix="the "), encoder.encode(["the sea"]))
    assert_equal(encoder.encode(["the sea rises"], max_length=4), encoder.encode(["the sea"]))


def test_terms_strongest_first(encoder):
    vectors = encoder.encode(TEXTS)
    rows = encoder.decode(vectors)
    for row, vector in zip(rows, vectors.toarray()):
        assert [weight for _, weight in row] == sorted((vector[vector > 0]).tolist(), reverse=True)
        assert {encoder.vocabulary.index(term) for term, _ in row} == set(np.flatnonzero(vector))
    assert encoder.decode(vectors[0], top_k=3) == [rows[0][:3]]
    assert rows[0][0][0] == "moon"


def test_impacts_are_rounded_weights(encoder):
    weights = encoder.encode(TEXTS)
    for scale in (256 / 5, 10.0):
        for vector, row in zip(encoder.impacts(TEXTS, scale=scale), encoder.decode(weights)):
            rounded = {term: round(weight * scale) for term, weight in row}
            assert vector == {term: impact for term, impact in rounded.items() if impact}
    assert next(encoder.impacts(["bread"]))["bread"] == 135


def test_a_model_by_its_name_in_the_table_or_its_folder(folder, encoder):
    expected = encoder.encode(TEXTS)
    for model in ("splade-tiny", str(folder)):
        assert_equal(SpladeEncoder(model, threads=1).encode(TEXTS), expected)


def test_a_sparse_encoder_is_copied(sparse_encoder, encoder):
    ours = SpladeEncoder(sparse_encoder, threads=1)
    expected = encoder.encode(TEXTS, max_length=9)
    assert ours.max_length == 9
    assert_equal(ours.encode(TEXTS), expected)
    stock = sparse_encoder.encode(TEXTS, convert_to_sparse_tensor=False).numpy()
    np.testing.assert_allclose(ours.encode(TEXTS).toarray(), stock, atol=1e-5)
    with torch.no_grad():
        for parameter in sparse_encoder.parameters():
            parameter.zero_()
    assert_equal(ours.encode(TEXTS), expected)
    assert "forward" not in vars(sparse_encoder[0].model.get_output_embeddings())


def test_so_are_an_accelerated_one_and_one_in_half_precision(sparse_encoder, encoder):
    expected = encoder.encode(TEXTS, max_length=9)
    assert_equal(SpladeEncoder(accelerate(sparse_encoder), threads=1).encode(TEXTS), expected)
    rounded = SpladeEncoder(sparse_encoder.bfloat16(), threads=1).encode(TEXTS)
    assert rounded.dtype == np.float32
    assert 1e-4 < abs(rounded - expected).max() < 0.1


def test_wrong_arguments(sparse_encoder, encoder):
    with pytest.raises(TypeError, match="texts: expected a list or another iterable of strings"):
        encoder.encode("the sea")
    with pytest.raises(InputError, match="no such folder, and it is no Hub name"):
        SpladeEncoder("nowhere")
    with pytest.raises(InputError, match="all-minilm-l6-v2 is no SPLADE model but a system of"):
        SpladeEncoder("all-minilm-l6-v2")
    sparse_encoder[1].pooling_strategy = "sum"
    with pytest.raises(ValueError, match="only SpladePooling with max and relu"):
        SpladeEncoder(sparse_encoder)
    with pytest.raises(ValueError, match=r"expected a sentence_transformers\.SparseEncoder, found a int"):
        SpladeEncoder(3)
