"""Reading collections: what is accepted, what is refused, and what is counted."""

import gzip
import json

import pytest
from conftest import write_beir

from repro.base.errors import InputError
from repro.base.files import file_name
from repro.collections.model import clean
from repro.collections.opening import open_collection
from repro.collections.scan import scan_corpus, warn_of_unknown


def scan(folder, tmp_path):
    return scan_corpus(open_collection(str(folder)), tmp_path / "work")


def test_text_is_title_blank_text_stripped(beir):
    documents = list(open_collection(str(beir)).documents())
    assert documents[0].text.startswith("Tides The moon's gravity")
    assert documents[1].text.startswith("Bread rises")


def test_gzipped_files_are_read(beir):
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = beir / name
        (beir / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    collection = open_collection(str(beir))
    assert len(list(collection.documents())) == 6
    assert collection.qrels()["q1"] == {"d1": 3}


def test_damaged_gzip_is_refused(beir, tmp_path):
    path = beir / "corpus.jsonl"
    (beir / "corpus.jsonl.gz").write_bytes(gzip.compress(path.read_bytes())[:60])
    path.unlink()
    with pytest.raises(InputError, match=r"corpus\.jsonl\.gz, after line \d+: the gzip file is cut off"):
        scan(beir, tmp_path)


def test_only_judged_queries_are_searched_unless_asked(tmp_path):
    folder = write_beir(tmp_path / "c", queries=[("q1", "sea"), ("q9", "unjudged")])
    collection = open_collection(str(folder))
    assert [query.id for query in collection.queries()] == ["q1"]
    assert [query.id for query in collection.queries(judged_only=False)] == ["q1", "q9"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", r"corpus\.jsonl, line 7: not JSON"),
        ('["a list"]', r"line 7: expected a JSON object"),
        ('{"text": "no id"}', r'line 7: no "_id"'),
        ('{"_id": "", "text": "x"}', r"line 7: the id '' is empty"),
        ('{"_id": "a b", "text": "x"}', r"line 7: the id 'a b' is empty or holds a blank"),
        ('{"_id": "d7"}', r'line 7: expected a string in "text"'),
        ('{"_id": "d7", "text": 5}', r'line 7: expected a string in "text"'),
        ('{"_id": "d2", "text": "again"}', r"document id 'd2' twice, as records 2 and 7"),
    ],
)
def test_bad_corpus_line_is_refused_with_its_number(beir, tmp_path, line, message):
    with open(beir / "corpus.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        scan(beir, tmp_path)


def test_file_that_is_not_utf8_is_refused(beir, tmp_path):
    with open(beir / "corpus.jsonl", "ab") as file:
        file.write(b'{"_id": "d7", "text": "caf\xe9"}\n')
    with pytest.raises(InputError, match="line 7: not UTF-8"):
        scan(beir, tmp_path)


def test_empty_collection_is_refused(tmp_path):
    with pytest.raises(InputError, match="is empty; expected at least one document"):
        scan(write_beir(tmp_path / "c", documents=[]), tmp_path)


def test_query_id_given_twice_is_refused(tmp_path):
    folder = write_beir(tmp_path / "c", queries=[("q1", "a"), ("q1", "b")])
    with pytest.raises(InputError, match=r"queries\.jsonl, line 2: the query id q1 occurs twice"):
        open_collection(str(folder)).queries()


def test_bad_qrels_line_is_refused_with_its_number(beir):
    with open(beir / "qrels" / "test.tsv", "a") as file:
        file.write("q1\td3\tvery\n")
    with pytest.raises(
        InputError, match=r"test\.tsv, line 5: expected query id, document id and an integer grade"
    ):
        open_collection(str(beir)).qrels()


def test_unknown_split_names_those_there_are(beir):
    with pytest.raises(InputError, match="no split 'dev'; choose --split from: test"):
        open_collection(str(beir), "dev").qrels()


@pytest.mark.parametrize("spec", ["./nowhere", "/nowhere/at/all", "nowhere/"])
def test_missing_folder_is_refused(spec):
    with pytest.raises(InputError, match="there is no such folder"):
        open_collection(spec)


def test_name_that_is_nothing_is_refused():
    with pytest.raises(InputError, match="neither 'sample', nor a folder, nor an id that ir_datasets knows"):
        open_collection("no-such-dataset")


def test_lone_surrogates_are_replaced_and_pairs_kept(tmp_path):
    folder = write_beir(tmp_path / "c")
    with open(folder / "corpus.jsonl", "a") as file:
        file.write('{"_id": "d7", "text": "broken \\ud83d here, whole \\ud83d\\ude00, bell \\u0007"}\n')
    text = list(open_collection(str(folder)).documents())[-1].text
    assert text == "broken \ufffd here, whole \U0001f600, bell \x07"
    text.encode("utf-8")


def test_scan_counts_and_changes_its_checksum_with_the_text(tmp_path):
    one = scan(write_beir(tmp_path / "one", documents=[("a", "", "x"), ("b", "", " ")]), tmp_path)
    assert (one.documents, one.empty) == (2, 1)
    same = scan(write_beir(tmp_path / "two", documents=[("a", "x", ""), ("b", "", "")]), tmp_path)
    other = scan(write_beir(tmp_path / "three", documents=[("a", "", "y"), ("b", "", "")]), tmp_path)
    assert one.sha256 == same.sha256 != other.sha256


def test_scan_is_reused_until_the_file_changes(beir, tmp_path):
    before = scan(beir, tmp_path)
    summary = tmp_path / "work" / "collections" / "tiny" / "summary.json"
    written = summary.stat().st_mtime_ns
    assert scan(beir, tmp_path) == before
    assert summary.stat().st_mtime_ns == written
    with open(beir / "corpus.jsonl", "a") as file:
        file.write(json.dumps({"_id": "d7", "text": "new"}) + "\n")
    assert scan(beir, tmp_path).documents == 7


def test_unknown_judgments_are_counted_and_warned_of(tmp_path, capsys):
    qrels = [("q1", "d1", 1), ("q1", "gone", 1), ("q8", "d2", 1)]
    collection = open_collection(str(write_beir(tmp_path / "c", qrels=qrels)))
    scan_corpus(collection, tmp_path / "work")
    assert warn_of_unknown(collection, collection.qrels(), tmp_path / "work") == (1, 1)
    said = capsys.readouterr().err
    assert "1 documents that are not in the corpus" in said
    assert "1 queries that have no text" in said


def test_file_names_and_clean():
    assert file_name("msmarco-passage/dev/small") == "msmarco-passage-dev-small"
    assert clean("  a\ud800b ") == "a\ufffdb"
