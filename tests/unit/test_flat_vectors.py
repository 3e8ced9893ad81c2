"""Embeddings in one file that grows: shards behind each other, what a killed process left of one, damage."""

import numpy as np
import pytest

from repro.base.errors import InputError
from repro.formats import flat_vectors
from repro.formats.embeddings import read_embeddings
from repro.formats.flat_vectors import HEADER, append_batches, flat_files, keep

ROWS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
IDS = ["d0", "é", "潮", "d3", "d4", "d5", "d6"]
SHARDS = [slice(0, 3), slice(3, 6), slice(6, 7)]


def write(folder, shards):
    folder.mkdir()
    for part in shards:
        assert append_batches(folder, ((IDS[i : i + 1], ROWS[i : i + 1]) for i in range(7)[part])) == (
            part.stop - part.start,
            3,
        )
    return folder


def contents(folder):
    return [path.read_bytes() for path in flat_files(folder)]


def test_shards_of_any_size_are_the_same_bytes_and_come_back(tmp_path, monkeypatch):
    one = write(tmp_path / "one", [slice(0, 7)])
    assert contents(one) == contents(write(tmp_path / "three", SHARDS))
    ((ids, vectors),) = read_embeddings(one)
    assert ids == IDS and vectors.dtype == np.float32 and np.array_equal(vectors, ROWS)
    monkeypatch.setattr(flat_vectors, "ROWS", 3)
    blocks = list(read_embeddings(one))
    assert [ids for ids, _ in blocks] == [IDS[:3], IDS[3:6], IDS[6:]]
    assert np.array_equal(np.concatenate([vectors for _, vectors in blocks]), ROWS)


@pytest.mark.parametrize("block", [1, 4, flat_vectors.BLOCK])
@pytest.mark.parametrize("written", [0, 5, 19, 36])
def test_what_a_killed_process_wrote_of_a_shard_is_cut_off(tmp_path, monkeypatch, block, written):
    """Vectors, ids and the header reach the disk in any order, or not."""
    monkeypatch.setattr(flat_vectors, "BLOCK", block)
    whole, killed = write(tmp_path / "whole", SHARDS), write(tmp_path / "killed", SHARDS[:2])
    for path, more in zip(flat_files(killed), (b"\1" * written, b"d7\nd"), strict=True):
        path.write_bytes(path.read_bytes() + more)
    header = flat_vectors.flat_header(6 + written // 12, 3)
    index = flat_files(killed)[0]
    index.write_bytes(header + index.read_bytes()[HEADER.size :])
    assert keep(killed, 6)
    append_batches(killed, [(IDS[6:], ROWS[6:])])
    assert contents(killed) == contents(whole)


@pytest.mark.parametrize(("file", "size"), [(0, 20), (0, HEADER.size + 47), (1, 9), (1, 0)])
def test_shards_that_are_not_all_there_are_not_gone_on_from(tmp_path, file, size):
    folder = write(tmp_path / "folder", SHARDS[:2])
    path = flat_files(folder)[file]
    path.write_bytes(path.read_bytes()[:size])
    before = contents(folder)
    assert not keep(folder, 6) and contents(folder) == before


@pytest.mark.parametrize("size", [0, 1, 44, 45, 60, -1])
def test_vectors_that_are_cut_off_are_refused(tmp_path, size):
    index, _ = flat_files(write(tmp_path / "folder", SHARDS))
    index.write_bytes(index.read_bytes()[:size])
    with pytest.raises(InputError, match=r"index is cut off or holds no embeddings.*repro\.encode --force"):
        list(read_embeddings(tmp_path / "folder"))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (b"d0\nd1", "docid is cut off after 1 lines"),
        (b"d0\nd1\n", "holds 7 vectors, but docid beside it 2 ids"),
        (b"\xff\n" * 7, "docid is no UTF-8 text"),
        (None, r"docid cannot be read \(No such file or directory\)"),
    ],
)
def test_ids_that_are_not_as_many_or_no_text_are_refused(tmp_path, ids, message):
    _, docid = flat_files(write(tmp_path / "folder", SHARDS))
    docid.unlink() if ids is None else docid.write_bytes(ids)
    with pytest.raises(InputError, match=message):
        list(read_embeddings(tmp_path / "folder"))


@pytest.mark.parametrize("place", [*range(16), *range(32, HEADER.size)])
def test_a_damaged_header_is_refused(tmp_path, place):
    index, _ = flat_files(write(tmp_path / "folder", SHARDS))
    data = bytearray(index.read_bytes())
    data[place] ^= 0x15
    index.write_bytes(data)
    with pytest.raises(InputError, match="index is cut off or holds no embeddings"):
        list(read_embeddings(tmp_path / "folder"))


def test_batches_of_other_dimensions_and_none_are_errors(tmp_path):
    folder = write(tmp_path / "folder", SHARDS[:1])
    with pytest.raises(ValueError, match="vectors of 4 dimensions behind those of 3"):
        append_batches(folder, [(["d3"], np.ones((1, 4), np.float32))])
    with pytest.raises(ValueError, match="at least one batch"):
        append_batches(folder, [])
