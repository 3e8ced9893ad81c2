"""A collection's queries split by passage, and by query."""

import json
import random
from pathlib import Path

import pytest
from conftest import refused, succeed, write_beir

from repro import split
from repro.cli.options import WorkOptions
from repro.collections.opening import open_collection
from repro.collections.scan import known_summary, scan_corpus
from repro.models.systems import find_system
from repro.pipeline.opening import Corpus, artifacts_of
from repro.pipeline.splitting import by_passage, by_query

CHAIN = {f"q{i}": {f"d{i}": 1, f"d{i + 1}": 2, f"d{i + 2}": 0} for i in range(40)}
"""Each query shares a relevant passage with the next: by passage, all stay together."""


def write_chain(folder):
    documents = [(f"d{i}", "", f"passage number {i}") for i in range(42)]
    judgments = [(q, d, grade) for q, judged in CHAIN.items() for d, grade in judged.items()]
    return write_beir(folder, documents, [(q, f"query {q}") for q in CHAIN], judgments)


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
    warning = capsys.readouterr().err
    assert "of the queries are for testing, not 50%" in warning and "--by queries divides them" in warning


def test_an_even_split_warns_of_nothing(pairs, capsys):
    assert split.main(["--collection", "pairs"]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_by_query_divides_what_passages_link_with_all_judgments(share):
    assert {len(part) for part in by_passage(CHAIN, share, 42).values()} == {0, len(CHAIN)}
    parts = by_query(CHAIN, share, 42)
    train, test = parts["train"], parts["test"]
    assert len(test) == round(share * len(CHAIN)) and not train.keys() & test.keys()
    assert train | test == CHAIN


def test_the_draw_by_query_depends_on_the_seed_alone():
    names = list(CHAIN)
    random.Random(0).shuffle(names)
    shuffled = {query: CHAIN[query] for query in names}
    assert by_query(shuffled, 0.5, 7) == by_query(CHAIN, 0.5, 7) != by_query(CHAIN, 0.5, 8)


def test_splits_by_query_have_folders_and_inputs_of_their_own(pairs, capsys):
    found = {}
    for options in ([], ["--by", "queries"], ["--by", "queries", "--seed", "1"], ["--seed", "1"]):
        split.main(["--collection", "pairs", *options])
        path = capsys.readouterr().out.strip()
        found[path] = json.loads(Path(f"{path}.manifest.json").read_text())["inputs"]
    default, queries, seeded, passages = (
        f"work/split/pairs-split{suffix}"
        for suffix in ("", ".by-queries", ".by-queries.seed-1.test-0.5", ".seed-1.test-0.5")
    )
    assert list(found) == [default, queries, seeded, passages]
    assert found[queries] == found[default] | {"by": "queries"}
    assert found.pop(default).keys() == {"stage", "format", "texts", "qrels", "seed", "test"}  # as ever


def test_by_query_on_the_command_line(tmp_path):
    write_chain(tmp_path / "chain")
    printed = succeed(
        "repro.split", "--collection", "chain", "--by", "queries", "--test", "0.3", cwd=tmp_path
    )
    folder = tmp_path / printed.strip()
    assert folder.name == "chain-split.by-queries.seed-42.test-0.3"
    parts = {name: open_collection(str(folder), name) for name in ("train", "test")}
    assert {name: part.qrels() for name, part in parts.items()} == by_query(CHAIN, 0.3, 42)
    assert {query.id for query in parts["test"].queries()} == parts["test"].qrels().keys()


@pytest.mark.parametrize(("share", "fix"), [("0.9", "smaller"), ("0.01", "larger")])
def test_a_split_by_query_that_leaves_a_part_empty_is_refused(tmp_path, share, fix):
    queries = [(f"q{i}", "one question") for i in range(4)]
    write_beir(tmp_path / "one", [("d0", "", "text")], queries, [(q, "d0", 1) for q, _ in queries])
    error = refused("repro.split", "--collection", "one", "--by", "queries", "--test", share, cwd=tmp_path)
    assert f"--test {share}: of 4 queries" in error and f"give a {fix} --test" in error
    assert not (tmp_path / "work/split").exists()


@pytest.mark.parametrize("by", ["passages", "queries"])
def test_a_split_shares_what_was_made_of_the_corpus(tmp_path, monkeypatch, capsys, by):
    """The same label, counts that are not taken again, and an index that is the same artifact."""
    monkeypatch.chdir(tmp_path)
    write_chain(tmp_path / "chain")
    work = Path("work")
    source = open_collection("chain", None, work)
    summary = scan_corpus(source, work)
    assert split.main(["--collection", "chain", "--by", by]) == 0
    parts = open_collection(capsys.readouterr().out.strip(), "train", work)
    assert parts.corpus == source.corpus == "chain" and parts.name != source.name
    assert known_summary(parts, work) == summary
    bm25 = find_system("bm25")
    of, other = (artifacts_of(bm25, Corpus(c, summary), WorkOptions(work)) for c in (source, parts))
    assert (of.index.path, of.index.inputs) == (other.index.path, other.index.inputs)
    assert of.run.path != other.run.path


def test_a_split_of_a_split_does_not_replace_it(tmp_path, monkeypatch, capsys):
    """Its corpus has the label of the collection that was split first; its folder has another name."""
    monkeypatch.chdir(tmp_path)
    write_chain(tmp_path / "chain")
    split.main(["--collection", "chain", "--by", "queries"])
    first = capsys.readouterr().out.strip()
    split.main(["--collection", first, "--split", "train", "--by", "queries"])
    second = capsys.readouterr().out.strip()
    assert second == f"work/split/{Path(first).name}-split.by-queries"
    assert open_collection(second, "train", Path("work")).corpus == "chain"


def test_a_split_shares_with_a_source_in_a_hub_cache(tmp_path, monkeypatch, capsys):
    """There, the corpus is a link to a blob: the split's is a link to that link."""
    monkeypatch.chdir(tmp_path)
    write_chain(tmp_path / "chain")
    (tmp_path / "chain/corpus.jsonl").rename(tmp_path / "0a1b2c")
    (tmp_path / "chain/corpus.jsonl").symlink_to("../0a1b2c")
    split.main(["--collection", "chain", "--by", "queries"])
    made = open_collection(capsys.readouterr().out.strip(), "train", Path("work"))
    assert made.corpus == open_collection("chain", None, Path("work")).corpus == "chain"
    assert len(list(made.documents())) == 42
