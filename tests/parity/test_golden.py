"""The released splade-tiny on README's three sentences: ours, Sentence Transformers, golden figures."""

import numpy as np
import pytest

from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.encoder import SpladeEncoder

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
SIMILARITIES = [[39.7253, 7.1662, 0], [7.1662, 27.0255, 0.1385], [0, 0.1385, 26.3539]]
STRONGEST = {"today": 2.5437, "lovely": 2.1207, "weather": 2.0432, "summers": 2.0364, "cool": 1.8054}


def ours() -> tuple[np.ndarray, list[str]]:
    encoder = SpladeEncoder(resolve(find_system("splade-tiny")).path)
    return encoder.encode(SENTENCES).toarray(), encoder.vocabulary


def sentence_transformers() -> tuple[np.ndarray, list[str]]:
    from sentence_transformers import SparseEncoder

    encoder = SparseEncoder(str(resolve(find_system("splade-tiny")).path), device="cpu")
    dense = encoder.encode(SENTENCES, convert_to_sparse_tensor=False).numpy()
    return dense, encoder.tokenizer.convert_ids_to_tokens(list(range(dense.shape[1])))


@pytest.mark.parametrize("encode", [ours, sentence_transformers])
def test_golden_similarities_and_terms(encode):
    dense, vocabulary = encode()
    np.testing.assert_allclose(dense @ dense.T, SIMILARITIES, atol=1e-3)
    strongest = np.argsort(-dense[0])[: len(STRONGEST)]
    assert [vocabulary[term] for term in strongest] == list(STRONGEST)
    np.testing.assert_allclose(dense[0, strongest], list(STRONGEST.values()), atol=1e-4)


def test_both_give_the_same_weights():
    np.testing.assert_allclose(ours()[0], sentence_transformers()[0], atol=1e-5)


def test_batches_change_nothing():
    """Padding and the order of batches must not show: long and short texts, alone and together."""
    encoder = SpladeEncoder(resolve(find_system("splade-tiny")).path)
    texts = ["tide " * n for n in (1, 300, 3, 700, 20, 0, 90)]
    together = encoder.encode(texts)
    for i, text in enumerate(texts):
        alone = encoder.encode([text])
        assert np.array_equal(together[i].indices, alone.indices)
        np.testing.assert_allclose(together[i].data, alone.data, atol=1e-5)
