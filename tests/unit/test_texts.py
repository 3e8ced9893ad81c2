"""Texts on disk, found by id."""

import pytest

from repro.collections import texts
from repro.collections.model import Document
from repro.collections.texts import TextStore


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_every_text_is_found_by_its_id_and_no_other(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "CHUNK", chunk)
    expected = {f"d{'9' * (i % 5)}-{i}": f"text {i}, été, 日本" for i in range(10)} | {
        "empty": "",
        "é": "accent",
    }
    path = tmp_path / "new" / "corpus.texts"
    with TextStore(path, (Document(*pair) for pair in expected.items())) as store:
        assert dict(store) == expected and len(store) == 12
        assert "d" not in store and "d-0" in store and "zzz" not in store
        with pytest.raises(KeyError):
            store["d-00"]
    assert not path.exists()


def test_a_store_of_nothing_is_empty(tmp_path):
    with TextStore(tmp_path / "corpus.texts", []) as store:
        assert not store and "d" not in store
