"""A collection's queries split by passage."""

import pytest
from conftest import write_beir

from repro import split
from repro.collections.opening import open_collection


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A collection in the current folder, of whose queries two share each passage."""
    qrels = [(f"q{i}", f"d{i // 2}", 1) for i in range(12)]
    documents = [(f"d{i}", "", f"passage number {i}") for i in range(6)]
    monkeypatch.chdir(tmp_path)
    return write_beir(tmp_path / "pairs", documents, [(q, f"query {q}") for q, _, _ in qrels], qrels)


def test_no_relevant_passage_is_in_both_parts(pairs, capsys):
    assert split.main(["--collection", "pairs", "--seed", "1"]) == 0
    path = capsys.readouterr().out.strip()
    parts = {name: open_collection(path, name).qrels() for name in ("train", "test")}
    passages = {name: {d for judged in part.values() for d in judged} for name, part in parts.items()}
    assert len(parts["train"]) == len(parts["test"]) == 6
    assert not passages["train"] & passages["test"]


def test_splits_of_other_settings_have_folders_of_their_own(pairs, capsys):
    """A model trained on one part of a split would know some of another split's other part."""
    paths = []
    for options in ([], ["--seed", "1"], ["--test", "0.3"], []):
        split.main(["--collection", "pairs", *options])
        paths.append(capsys.readouterr().out.strip())
    assert paths[0] == paths[3] == "work/split/pairs-split" and len(set(paths)) == 3


def test_says_so_when_linked_queries_leave_an_uneven_split(tmp_path, monkeypatch, capsys):
    """Eleven of twelve queries share a passage: wherever these go, the other part has one."""
    qrels = [(f"q{i}", "d0" if i < 11 else "d1", 1) for i in range(12)]
    documents = [(f"d{i}", "", f"passage number {i}") for i in range(2)]
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "linked", documents, [(q, f"query {q}") for q, _, _ in qrels], qrels)
    assert split.main(["--collection", "linked"]) == 0
    assert "of the queries are for testing, not 50%" in capsys.readouterr().err


def test_an_even_split_warns_of_nothing(pairs, capsys):
    assert split.main(["--collection", "pairs"]) == 0
    assert "warning" not in capsys.readouterr().err
