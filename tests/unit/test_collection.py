"""Reading collections: what is accepted, what is refused, and what is counted."""

import gzip
import json
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from conftest import write_beir

from repro.base.errors import InputError
from repro.base.files import file_name
from repro.collections.beir import BeirFolder
from repro.collections.model import Collection, clean
from repro.collections.opening import open_collection
from repro.collections.scan import known_summary, scan_corpus, warn_of_unknown


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


@pytest.mark.parametrize("place", [12, 40, -6])
def test_corrupt_deflate_data_is_refused(beir, tmp_path, place):
    path = beir / "corpus.jsonl"
    data = bytearray(gzip.compress(path.read_bytes()))
    data[place] ^= 0xFF
    (beir / "corpus.jsonl.gz").write_bytes(data)
    path.unlink()
    with pytest.raises(InputError, match=r"corpus\.jsonl\.gz, (after )?line \d+: "):
        scan(beir, tmp_path)


def test_a_line_that_inflates_to_gigabytes_is_refused_without_being_held(beir):
    (beir / "corpus.jsonl").unlink()
    (beir / "corpus.jsonl.gz").write_bytes(
        gzip.compress(b'{"_id": "d1", "text": "x"}\n') + 64 * gzip.compress(b"x" * (1 << 24))
    )
    code = (
        "from repro.base.errors import InputError; from repro.base.memory import peak_memory\n"
        "from repro.collections.opening import open_collection\n"
        f"try: list(open_collection({str(beir)!r}).documents())\n"
        "except InputError as error: print(error)\n"
        "print(peak_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, megabytes = done.stdout.splitlines()
    assert "corpus.jsonl.gz, line 2: longer than 64 MiB" in message
    assert float(megabytes) < 400


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
        ('{"_id": "a\\u0000b", "text": "x"}', r"line 7: the id 'a\\x00b' holds a NUL"),
        ('{"_id": "%s", "text": "x"}' % ("é" * 257), r"line 7: the id 'é+'... is longer than 512 bytes"),
        ('{"_id": true, "text": "x"}', r'line 7: no "_id"; every record needs one, a string'),
        ('{"_id": 1.5, "text": "x"}', r'line 7: no "_id"'),
        ("[" * 100_000, r"line 7: JSON nested too deep"),
        ('{"_id": %s, "text": "x"}' % ("9" * 5000), r"line 7: a number has too many digits"),
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


@pytest.mark.parametrize("split", ["../../x", "/x", "..", "a//b", "./test", "", "a\0b"])
def test_split_that_leaves_its_folder_is_refused(beir, split):
    with pytest.raises(InputError, match=r"^--split .*: expected the name of a file in .*qrels"):
        BeirFolder(beir, split)


def test_split_in_a_subfolder_has_a_name_fit_for_files(beir, tmp_path):
    (beir / "qrels" / "dev").mkdir()
    (beir / "qrels" / "test.tsv").rename(beir / "qrels" / "dev" / "small.tsv")
    collection = open_collection(str(beir), "dev/small", tmp_path / "work")
    assert collection.name == "tiny-dev-small"
    assert collection.qrels()["q1"] == {"d1": 3}
    with pytest.raises(InputError, match="choose --split from: dev/small"):
        open_collection(str(beir), "dev/large")


def test_qrels_with_a_byte_order_mark_crlf_and_blank_lines_are_read(beir):
    text = "\n\nquery-id\tcorpus-id\tscore\nq1\td1\t3\n \nq2\td2\t-1\n".replace("\n", "\r\n")
    (beir / "qrels" / "test.tsv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert open_collection(str(beir)).qrels() == {"q1": {"d1": 3}, "q2": {"d2": -1}}
    (beir / "qrels" / "test.tsv").write_bytes(b"\xef\xbb\xbfq1\td1\t3\r\n")
    assert open_collection(str(beir)).qrels() == {"q1": {"d1": 3}}


def test_grade_beyond_32_bits_is_refused(beir):
    with open(beir / "qrels" / "test.tsv", "a") as file:
        file.write(f"q1\td2\t{2**31 - 1}\nq1\td3\t{2**31}\n")
    with pytest.raises(InputError, match=r"test\.tsv, line 6: the grade does not fit 32 bits"):
        open_collection(str(beir)).qrels()


def test_contradictory_judgments_are_warned_of_and_the_last_counts(beir, capsys):
    with open(beir / "qrels" / "test.tsv", "a") as file:
        file.write("q1\td1\t3\nq1\td1\t0\n" + "".join(f"q2\td2\t{grade}\n" for grade in range(7)))
    assert open_collection(str(beir)).qrels() == {"q1": {"d1": 0}, "q2": {"d2": 6}, "q3": {"d6": 1}}
    warnings = capsys.readouterr().err.splitlines()
    assert "test.tsv, line 6: query q1, document d1 is judged 0 here and 3 before; the last" in warnings[0]
    assert len(warnings) == 6 and "3 more judgments contradict" in warnings[-1]


def test_judgments_and_judged_queries_are_read_once(beir):
    collection = open_collection(str(beir))
    qrels, queries = collection.qrels(), collection.queries()
    for path in ("queries.jsonl", "qrels/test.tsv"):
        (beir / path).unlink()
    assert collection.qrels() == qrels and collection.queries() == queries


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


def test_a_linked_corpus_is_not_scanned_again(beir, tmp_path):
    """Whichever of the two was read first, and judgments are held against the same ids."""
    work = tmp_path / "work"
    linked = write_beir(tmp_path / "mine", qrels=[("q1", "d1", 1), ("q1", "gone", 1)])
    (linked / "corpus.jsonl").unlink()
    (linked / "corpus.jsonl").symlink_to(beir / "corpus.jsonl")
    collection = open_collection(str(linked), None, work)
    unread = mock.patch.object(BeirFolder, "documents", side_effect=AssertionError("scanned again"))
    before = scan_corpus(collection, work)
    with unread:
        assert scan_corpus(open_collection(str(beir), None, work), work) == before
        assert scan_corpus(collection, work) == before
    assert warn_of_unknown(collection, collection.qrels(), work) == (1, 0)
    with open(beir / "corpus.jsonl", "a") as file:
        file.write(json.dumps({"_id": "gone", "text": "back"}) + "\n")
    assert known_summary(collection, work) is None
    assert scan_corpus(collection, work).documents == 7
    assert warn_of_unknown(collection, collection.qrels(), work) == (0, 0)


def test_unknown_judgments_are_counted_and_warned_of(tmp_path, capsys):
    qrels = [("q1", "d1", 1), ("q1", "gone", 1), ("q8", "d2", 1)]
    collection = open_collection(str(write_beir(tmp_path / "c", qrels=qrels)))
    scan_corpus(collection, tmp_path / "work")
    assert warn_of_unknown(collection, collection.qrels(), tmp_path / "work") == (1, 1)
    warnings = capsys.readouterr().err
    assert "1 documents that are not in the corpus" in warnings
    assert "1 queries that have no text" in warnings


@pytest.mark.parametrize("content", ["[]", "{}", '{"state": 1}', "\xff", '{"summary": {"documents": 6}}'])
def test_scan_is_repeated_where_what_it_left_is_damaged(beir, tmp_path, content):
    summary = scan(beir, tmp_path)
    folder = tmp_path / "work" / "collections" / "tiny"
    (folder / "summary.json").write_text(content, encoding="latin-1")
    assert scan(beir, tmp_path) == summary
    (folder / "ids.npy").write_bytes((folder / "ids.npy").read_bytes()[:-8])
    assert known_summary(open_collection(str(beir)), tmp_path / "work") is None
    assert scan(beir, tmp_path) == summary
    assert len(np.load(folder / "ids.npy")) == 6


def test_killed_between_ids_and_summary_nothing_vouches_for_them(beir, tmp_path):
    scan(beir, tmp_path)
    with open(beir / "corpus.jsonl", "a") as file:
        file.write(json.dumps({"_id": "d7", "text": "new"}) + "\n")
    killed = mock.patch("repro.collections.scan.write_json", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        scan(beir, tmp_path)
    assert not (tmp_path / "work" / "collections" / "tiny" / "summary.json").exists()
    assert scan(beir, tmp_path).documents == 7


def test_one_process_scans_a_corpus_at_a_time(beir, tmp_path):
    work, refusals = tmp_path / "work", []

    class Meanwhile(BeirFolder):
        def documents(self):
            try:
                scan_corpus(open_collection(str(beir)), work, wait=False)
            except InputError as error:
                refusals.append(str(error))
            return super().documents()

    assert scan_corpus(Collection("tiny-test", "tiny", Meanwhile(beir, "test")), work).documents == 6
    assert len(refusals) == 1 and "is in use by process" in refusals[0]


def test_processes_that_scan_at_once_agree(beir, tmp_path):
    code = (
        "import sys; from pathlib import Path; from repro.collections.opening import open_collection\n"
        "from repro.collections.scan import scan_corpus, warn_of_unknown\n"
        "work = Path(sys.argv[2]); collection = open_collection(sys.argv[1], None, work)\n"
        "print(scan_corpus(collection, work), warn_of_unknown(collection, collection.qrels(), work))"
    )
    command = [sys.executable, "-c", code, str(beir), str(tmp_path / "work")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(printed) == 1 and "documents=6" in printed.pop()


def test_file_names_and_clean():
    assert file_name("msmarco-passage/dev/small") == "msmarco-passage-dev-small"
    assert clean("  a\ud800b ") == "a\ufffdb"
