"""What a teacher computed is kept: found again by text, whole or not at all, by several processes at once."""

import numpy as np
import pytest

from repro.base.locks import locked
from repro.distillation import teacher_store
from repro.distillation.teacher_store import open_store


class Teacher:
    """A teacher whose value of a text is its length; it remembers what it was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, texts):
        self.calls.append(texts)
        return np.array([[len(text), text.count("a")] for text in texts], np.float32)

    def complete(self, store, texts):
        store.complete(texts, lambda text: (text,), self, "computing", "texts")
        return store.get((text,) for text in texts)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(teacher_store, "PIECE", 4)
    monkeypatch.setattr(teacher_store, "CALL", 2)


TEXTS = ["a", "aaa", "bb", "", "a\n", "a\0", "\u00e4\u00f6\u00fc", "aaa", "bbbbbb", "ab"]


def test_each_text_is_computed_once_and_long_ones_first(tmp_path, small):
    teacher = Teacher()
    with open_store(tmp_path / "store") as store:
        values = teacher.complete(store, TEXTS)
        assert values.dtype == np.float32
        assert values.tolist() == [[len(text), text.count("a")] for text in TEXTS]
        lengths = [len(text) for call in teacher.calls for text in call]
        assert lengths == sorted(lengths, reverse=True) and len(lengths) == len(set(TEXTS))
        assert max(map(len, teacher.calls)) == 2
    again = Teacher()
    with open_store(tmp_path / "store") as store:
        assert (again.complete(store, [*TEXTS, "new"])[:-1] == values).all()
    assert again.calls == [["new"]]


def test_a_text_that_was_not_computed_is_not_found(tmp_path):
    with open_store(tmp_path / "store") as store:
        Teacher().complete(store, ["a"])
        with pytest.raises(KeyError):
            store.get([("b",)])


def test_a_query_and_a_passage_are_not_another_pair_of_the_same_letters(tmp_path):
    with open_store(tmp_path / "store") as store:
        pairs = [("ab", "c"), ("a", "bc"), ("abc", "")]
        store.complete(pairs, lambda pair: pair, lambda asked: np.array([[len(q)] for q, _ in asked]), "", "")
        assert store.get(pairs)[:, 0].tolist() == [2, 1, 3]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("damage", ["cut off", "no ids", "other width", "not an array"])
def test_a_damaged_piece_is_left_out_with_a_note_and_made_again(damage, place, tmp_path, small, capsys):
    """Whichever it is: the others are neither doubted nor removed for it."""
    with open_store(tmp_path / "store") as store:
        Teacher().complete(store, TEXTS)
    pieces = sorted((tmp_path / "store").iterdir())
    assert len(pieces) == 3
    vectors, ids = (pieces[place] / f"part-00000.{kind}" for kind in ("npy", "ids"))
    number = len(ids.read_text().splitlines())
    if damage == "cut off":
        vectors.write_bytes(vectors.read_bytes()[:-3])
    elif damage == "no ids":
        ids.unlink()
    elif damage == "other width":
        np.save(vectors, np.zeros((number, 3), np.float32))
    else:
        vectors.write_bytes(b"nothing")
    again = Teacher()
    with open_store(tmp_path / "store") as store:
        assert again.complete(store, TEXTS)[:, 0].tolist() == [len(text) for text in TEXTS]
    assert sum(map(len, again.calls)) == number
    assert "it is left out and made again" in capsys.readouterr().err
    left = set((tmp_path / "store").iterdir())
    assert set(pieces) - left == {pieces[place]} and len(left) == 3
    last = Teacher()
    with open_store(tmp_path / "store") as store:
        last.complete(store, TEXTS)
    assert not last.calls and "made again" not in capsys.readouterr().err


def test_a_killed_process_s_half_piece_goes_unless_another_process_writes(tmp_path):
    half = tmp_path / "store/partial-1"
    half.mkdir(parents=True)
    with locked(tmp_path / "store.lock", shared=True), open_store(tmp_path / "store"):
        assert half.exists()
    with open_store(tmp_path / "store"):
        assert not half.exists()


def test_two_processes_may_compute_the_same_at_once(tmp_path):
    with open_store(tmp_path / "store") as one, open_store(tmp_path / "store") as other:
        assert (Teacher().complete(one, TEXTS) == Teacher().complete(other, TEXTS)).all()
    third = Teacher()
    with open_store(tmp_path / "store") as store:
        assert len(third.complete(store, TEXTS)) == len(TEXTS) and not third.calls
