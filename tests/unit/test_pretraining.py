"""What a masked language model is trained on."""

import numpy as np

from repro.training.pretraining import draw


def test_each_text_of_a_large_collection_is_as_likely_as_any_other():
    texts = [str(i) for i in range(40)]
    counts = np.zeros(40)
    for seed in range(2000):
        drawn = draw(iter(texts), 10, seed)
        assert len(set(drawn)) == 10
        counts[[int(text) for text in drawn]] += 1
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500 * 0.75))
    assert draw(iter(texts), 100, 0) == texts
