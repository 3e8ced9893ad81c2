"""Files that this package reads again: whole ones come back as written, damaged ones are refused."""

import contextlib
import errno
import gzip
import json

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.base.files import read_json
from repro.formats.embeddings import read_embeddings, shard_files, write_batches, write_embeddings
from repro.formats.impact_vectors import ImpactVector, read_vectors, shard_path, write_shard
from repro.formats.qrels import read_trec_qrels

VECTORS = [
    ImpactVector("d1", "the tide", {"tide": 12, "sea": 1}),
    ImpactVector("é", "", {}),
    ImpactVector("d3", "line\u2028end", {"潮": 300}),
]


@pytest.fixture
def impacts(tmp_path):
    """A folder of two shards of impact vectors."""
    write_shard(shard_path(tmp_path, 0), VECTORS[:2])
    write_shard(shard_path(tmp_path, 1), VECTORS[2:])
    return tmp_path


@pytest.fixture
def embeddings(tmp_path):
    """A folder of two shards of embeddings."""
    write_embeddings(tmp_path, 0, ["d1", "é"], np.arange(8, dtype=np.float32).reshape(2, 4))
    write_embeddings(tmp_path, 1, ["d3"], np.ones((1, 4), np.float64))
    return tmp_path


def test_impact_vectors_come_back(impacts):
    assert list(read_vectors(impacts)) == VECTORS


def test_equal_vectors_give_equal_bytes(tmp_path):
    """The name and time that gzip usually writes would make each shard another."""
    for name in ("one.gz", "two.gz"):
        write_shard(tmp_path / name, VECTORS)
    one = (tmp_path / "one.gz").read_bytes()
    assert one == (tmp_path / "two.gz").read_bytes()
    assert one[4:8] == bytes(4) and not one[3] & 8  # no time, no name


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"PK" + b, lambda b: b[:20] + b"\xff\xff" + b[22:]]
)
def test_damaged_shard_of_impacts_is_refused(impacts, damage):
    path = shard_path(impacts, 0)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"part-00000\.jsonl\.gz, (after )?line \d+: "):
        list(read_vectors(impacts))


FORM = 'expected {"id"'
IMPACTS = "expected impacts that are integers from 1 up"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "expected a JSON object"),
        ('{"id": "d9"}', FORM),
        ('{"id": 9, "vector": {}}', FORM),
        ('{"id": "d9", "vector": ["tide"]}', FORM),
        ('{"id": "d9", "contents": 5, "vector": {}}', FORM),
        ('{"id": "d9", "vector": {"tide": 1.5}}', IMPACTS),
        ('{"id": "d9", "vector": {"tide": true}}', IMPACTS),
        ('{"id": "d9", "vector": {"tide": 0}}', IMPACTS),
        ('{"id": "d9", "vector": {"tide": "3"}}', IMPACTS),
        ('{"id": "d9", "vector": %s}' % ('{"a":' * 50_000), "nested too deep"),
        ('{"id": "d9", "vector": {"tide": %s}}' % ("9" * 5000), "too many digits"),
    ],
)
def test_line_that_is_no_vector_is_refused_with_its_number(impacts, line, message):
    whole = gzip.decompress(shard_path(impacts, 0).read_bytes())
    shard_path(impacts, 0).write_bytes(gzip.compress(whole + line.encode() + b"\n"))
    with pytest.raises(InputError) as refused:
        list(read_vectors(impacts))
    assert f"{shard_path(impacts, 0)}, line 3: " in str(refused.value) and message in str(refused.value)


def test_embeddings_come_back_as_numpy_reads_them(embeddings):
    (ids, vectors), (_, last) = read_embeddings(embeddings)
    assert ids == ["d1", "é"] and vectors.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert last.dtype == np.float32 and np.array_equal(np.load(shard_files(embeddings, 1)[0]), last)


def test_full_disk_is_told_as_such(tmp_path):
    """np.save reserves the space of large arrays, and what it raises where there is none has no number."""
    shard_files(tmp_path, 0)[0].symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as full:
        write_embeddings(tmp_path, 0, ["d1"], np.ones((1, 100_000), np.float32))
    assert full.value.errno == errno.ENOSPC


@pytest.mark.parametrize("size", [0, 1, 10, 64, 127, 140])
def test_embeddings_that_are_cut_off_are_refused(embeddings, size):
    path = shard_files(embeddings, 0)[0]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"part-00000\.npy is cut off or no shard of embeddings"):
        list(read_embeddings(embeddings))


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 no archive",
        b"\x80\x04K\x05.",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', ",
        b"\x93NUMPY\x09\x00",
    ],
)
def test_what_is_no_array_is_refused(embeddings, content):
    shard_files(embeddings, 0)[0].write_bytes(content)
    with pytest.raises(InputError, match=r"part-00000\.npy is cut off or no shard of embeddings"):
        list(read_embeddings(embeddings))


@pytest.mark.parametrize("place", range(70))
def test_a_damaged_header_is_refused_or_harmless(embeddings, place):
    path = shard_files(embeddings, 0)[0]
    data = bytearray(path.read_bytes())
    data[place] ^= 0x15
    path.write_bytes(data)
    with contextlib.suppress(InputError):  # any other error fails
        assert [len(ids) for ids, _ in read_embeddings(embeddings)] == [2, 1]


@pytest.mark.parametrize(
    "array",
    [
        np.ones((2, 4)),
        np.ones(8, np.float32),
        np.array([["a", "b"]] * 2),
        np.array([[{}, []]] * 2, dtype=object),
        np.ones((3, 4), np.float32),
        np.ones((2, 5), np.float32),
    ],
    ids=["float64", "one axis", "text", "objects", "rows", "dimensions"],
)
def test_other_arrays_are_refused(embeddings, array):
    np.save(shard_files(embeddings, 0)[0], array, allow_pickle=True)
    with pytest.raises(InputError, match=r"part-0000[01]\.npy.*python -m repro\.encode --force"):
        list(read_embeddings(embeddings))


@pytest.mark.parametrize("ids", [b"d1\n", b"d1\nd2\nd3\n", b"d1\nd2", b"d1\n\xff\n", None])
def test_other_ids_are_refused(embeddings, ids):
    path = shard_files(embeddings, 0)[1]
    path.unlink() if ids is None else path.write_bytes(ids)
    with pytest.raises(InputError, match=r"part-00000\.ids"):
        list(read_embeddings(embeddings))


@pytest.mark.parametrize("read", [read_vectors, read_embeddings])
def test_a_folder_of_nothing_is_refused(tmp_path, read):
    with pytest.raises(InputError, match=r"holds no .*python -m repro\.encode"):
        list(read(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"{", b"\xff\xfe", b"5", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_read_json_is_an_object_or_nothing(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert read_json(path) is None
    assert read_json(tmp_path) is None
    path.write_text(json.dumps({"a": [1]}))
    assert read_json(path) == {"a": [1]}


def test_qrels_of_any_line_ends_are_read(tmp_path):
    path = tmp_path / "qrels"
    path.write_bytes(b"\xef\xbb\xbfq1 0 d1 1\r\n\r\n \nq1\t0\td2\t-2\r\nq2 Q0 d1 0")
    assert read_trec_qrels(path) == {"q1": {"d1": 1, "d2": -2}, "q2": {"d1": 0}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q1 0 d1\n", "line 1: expected 4 columns"),
        (b"\nq1 0 d1 1.5\n", "line 2: expected 4 columns"),
        (b"q1 0 d1 2147483648\n", "line 1: the grade does not fit 32 bits"),
        (b"q1 0 d1 " + b"9" * 5000, "line 1: expected 4 columns"),
        (b"q1 0 d1 1\nq1 0 d\xe9 1\n", "line 2: not UTF-8"),
        (b" \n", "no judgment in it"),
    ],
)
def test_bad_qrels_are_refused_with_their_line(tmp_path, content, message):
    path = tmp_path / "qrels"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_trec_qrels(path)


def test_missing_qrels_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="there is no such qrels file"):
            read_trec_qrels(path)


def test_contradictory_judgments_are_warned_of_and_the_last_counts(tmp_path, capsys):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d1 1\nq1 0 d1 1\nq1 0 d2 1\nq1 0 d1 0\n")
    assert read_trec_qrels(path) == {"q1": {"d1": 0, "d2": 1}}
    assert capsys.readouterr().err == (
        f"warning: {path}, line 4: query q1, document d1 is judged 0 here and 1 before; the last counts\n"
    )


def test_a_shard_that_comes_in_batches_is_what_numpy_saves_of_the_whole(tmp_path):
    """Its header says how many rows there are, and is written before that is known."""
    rows = np.random.default_rng(0).normal(size=(1201, 3)).astype(np.float32)
    ids = [f"d{i}" for i in range(len(rows))]
    parts = [slice(0, 1), slice(1, 100), slice(100, 1201)]
    assert write_batches(tmp_path, 0, ((ids[part], rows[part]) for part in parts)) == rows.shape
    vectors, names = shard_files(tmp_path, 0)
    np.save(tmp_path / "whole.npy", rows)
    assert vectors.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert names.read_text().split() == ids
    with pytest.raises(ValueError, match="at least one batch"):
        write_batches(tmp_path, 1, [])
