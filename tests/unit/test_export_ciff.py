"""The Common Index File Format, written by NumPy, read by the protobuf package with the format's schema."""

import io
import re

import numpy as np
import pytest
from ciff_reading import read_ciff
from google.protobuf.internal.decoder import _DecodeVarint32
from hypothesis import given
from hypothesis import strategies as st

from repro.base.errors import InputError
from repro.exporting.ciff_check import check_header
from repro.formats import ciff
from repro.formats.ciff import Header, PostingsList, write_ciff
from repro.formats.ciff_reading import schema

LARGEST = 2**31 - 1


def written(lists: dict[str, dict[int, int]], docids: list[str], description="") -> bytes:
    """Return the file of an index given as term -> document's number -> impact."""
    arrays = [
        PostingsList(term, np.array(list(postings), np.int32), np.array(list(postings.values()), np.int32))
        for term, postings in lists.items()
    ]
    total = sum(sum(postings.values()) for postings in lists.values())
    file = io.BytesIO()
    write_ciff(file, Header(len(lists), len(docids), total, description), arrays, docids)
    return file.getvalue()


postings = st.dictionaries(
    st.one_of(st.integers(0, 300), st.integers(0, LARGEST)), st.integers(1, LARGEST), min_size=1, max_size=9
).map(lambda found: dict(sorted(found.items())))


@given(postings, st.text(max_size=40))
def test_a_list_has_the_bytes_that_protobuf_gives_it(postings, term):
    """Gaps and impacts of one byte to five, a first document 0, which protobuf leaves out."""
    documents, impacts = np.array([*postings], np.int32), np.array([*postings.values()], np.int32)
    expected = schema().PostingsList(term=term, df=len(postings), cf=sum(postings.values()))
    before = 0
    for document, impact in postings.items():
        expected.postings.add(docid=document - before, tf=impact)
        before = document
    message = b"".join(ciff._postings_list(PostingsList(term, documents, impacts)))
    assert message == expected.SerializeToString()


def test_a_whole_file_is_read_back():
    lists = {"##s": {0: 1, 2: 300}, "größe": {1: 70_000}, "tide": {0: 5, 1: 6, 2: 7}}
    docids = ["d1", "dé", "7"]
    index = read_ciff(io.BytesIO(written(lists, docids, "tides, in impacts")))
    assert index.postings == {
        term: {docids[document]: impact for document, impact in postings.items()}
        for term, postings in lists.items()
    }
    header = index.header
    assert (header.version, header.num_postings_lists, header.total_postings_lists) == (1, 3, 3)
    assert (header.num_doc_records, header.total_docs) == (3, 3)
    assert header.total_terms_in_collection == 70_319 and header.description == "tides, in impacts"
    assert header.average_doclength == 70_319 / 3
    assert index.lengths == {"d1": 6, "dé": 70_006, "7": 307}


def test_terms_and_documents_keep_their_order():
    data = written({"b": {0: 1}, "a": {1: 2}}, ["y", "x"])
    index = read_ciff(io.BytesIO(data))
    assert list(index.postings) == ["b", "a"] and list(index.lengths) == ["y", "x"]


def test_a_long_list_is_encoded_in_blocks(monkeypatch):
    monkeypatch.setattr(ciff, "BLOCK", 3)
    lists = {"tide": {document: document + 1 for document in range(0, 50, 5)}}
    docids = [str(number) for number in range(50)]
    index = read_ciff(io.BytesIO(written(lists, docids)))
    assert index.postings["tide"] == {str(document): impact for document, impact in lists["tide"].items()}


def test_an_index_without_documents_is_a_header_alone():
    data = written({}, [])
    size, start = _DecodeVarint32(data, 0)
    assert len(data) == start + size
    assert read_ciff(io.BytesIO(data)).header.num_doc_records == 0


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16_383, 16_384, 2**32, 2**63 - 1])
def test_a_varint_is_protobufs(value):
    message = schema().PostingsList(df=value)
    assert ciff._integer(2, value) == message.SerializeToString()


LISTS = {"sea": {0: 3, 2: 70_000}, "tide": {1: 1}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:-1], "it ends within the message at byte "),
        (lambda data: b"", "it ends at byte 0, where a message is expected"),
        (lambda data: data + b"\x00", "more stands after its 3 documents"),
        (lambda data: data.replace(b"sea", b"s\xffa"), "is no PostingsList"),
        (
            lambda data: data.replace(b"\x10\xf0\xa2\x04", b"\x10\xf0\xa2\x05"),
            "the list of 'sea' has 2 postings",
        ),
        (
            lambda data: data.replace(b"\x08\x02\x12\x01z", b"\x08\x03\x12\x01z"),
            "document 2 has the number 3",
        ),
        (lambda data: b"\xff" * 20 + data, "no length of a message stands before byte 10"),
    ],
)
def test_a_damaged_file_is_refused(change, told):
    data = written(LISTS, ["x", "y", "z"])
    assert read_ciff(io.BytesIO(data)).postings["sea"] == {"x": 3, "z": 70_000}
    damaged = change(data)
    assert damaged != data
    with pytest.raises(InputError, match=re.escape(told)):
        read_ciff(io.BytesIO(damaged))


@pytest.mark.parametrize("size", [10**4, 2**31, 2**62, 2**64])
def test_a_message_longer_than_the_file_is_refused_before_it_is_read(tmp_path, size):
    data = written(LISTS, ["x", "y", "z"])
    (tmp_path / "index.ciff").write_bytes(ciff._varint(size) + data)
    told = f"it ends within the message at byte 0, of {size:,} bytes"
    with open(tmp_path / "index.ciff", "rb") as file, pytest.raises(InputError, match=told):
        read_ciff(file)


def test_a_message_longer_than_protobufs_may_be_is_refused(tmp_path):
    with open(tmp_path / "index.ciff", "w+b") as file:
        file.write(ciff._varint(2**31))
        file.truncate(2**32)  # a hole on the disk
        file.seek(0)
        with pytest.raises(InputError, match=f"has {2**31:,} bytes, more than one can have"):
            read_ciff(file)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("version", "1,000,001, and in the index 1;"),
        ("total_postings_lists", "1,000,002, and in the index 2;"),
        ("total_docs", "1,000,003, and in the index 3;"),
        ("total_terms_in_collection", "1,070,004, and in the index 70,004;"),
        ("average_doclength", r"1,023,334\.666\d*, and in the index 23,334\.666\d*;"),
    ],
)
def test_each_field_of_the_header_is_compared_with_the_index(tmp_path, field, told):
    header = read_ciff(io.BytesIO(written(LISTS, ["x", "y", "z"]))).header
    lengths = np.array([3, 1, 70_000])
    check_header(tmp_path, header, 2, lengths)
    setattr(header, field, getattr(header, field) + 1_000_000)
    with pytest.raises(InputError, match=f"{field} of the header is {told}"):
        check_header(tmp_path, header, 2, lengths)
