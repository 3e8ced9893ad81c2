"""A reader of the Common Index File Format that has nothing in common with the writer: the protobuf package,
with the schema of github.com/osirrc/ciff (CommonIndexFileFormat.proto).
"""

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import IO, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.decoder import _DecodeVarint32

SCHEMA = {
    "Header": [
        "int32 version",
        "int32 num_postings_lists",
        "int32 num_doc_records",
        "int32 total_postings_lists",
        "int32 total_docs",
        "int64 total_terms_in_collection",
        "double average_doclength",
        "string description",
    ],
    "Posting": ["int32 docid", "int32 tf"],
    "PostingsList": ["string term", "int64 df", "int64 cf", "repeated postings"],
    "DocRecord": ["int32 docid", "string collection_docid", "int32 doclength"],
}
"""Of each message its fields, numbered from 1."""


@dataclass(frozen=True)
class CiffIndex:
    """What a file holds: its header, term -> docid -> impact, docid -> length."""

    header: Any
    postings: dict[str, dict[str, int]]
    lengths: dict[str, int]


@cache
def schema() -> SimpleNamespace:
    """Return the classes of the messages, made by the protobuf package."""
    file = descriptor_pb2.FileDescriptorProto(name="ciff.proto", package="io.osirrc.ciff", syntax="proto3")
    field_type = descriptor_pb2.FieldDescriptorProto
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, declared in enumerate(fields, start=1):
            kind, field = declared.split()
            entry = message.field.add(name=field, number=number, label=field_type.LABEL_OPTIONAL)
            if kind == "repeated":
                entry.label, entry.type = field_type.LABEL_REPEATED, field_type.TYPE_MESSAGE
                entry.type_name = ".io.osirrc.ciff.Posting"
            else:
                entry.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"io.osirrc.ciff.{name}"))
        for name in SCHEMA
    }
    return SimpleNamespace(**found)


def read_ciff(file: IO[bytes]) -> CiffIndex:
    """Read a whole file; every list must state its own counts, and no byte may be left."""
    data, position, messages = file.read(), 0, schema()

    def read(kind: Any) -> Any:
        nonlocal position
        size, start = _DecodeVarint32(data, position)
        position = start + size
        return kind.FromString(data[start:position])

    header = read(messages.Header)
    lists = [read(messages.PostingsList) for _ in range(header.num_postings_lists)]
    records = [read(messages.DocRecord) for _ in range(header.num_doc_records)]
    assert position == len(data)
    assert [record.docid for record in records] == list(range(len(records)))
    docids = [record.collection_docid for record in records]
    postings: dict[str, dict[str, int]] = {}
    for found in lists:
        of_term, document = postings.setdefault(found.term, {}), 0
        for posting in found.postings:
            document += posting.docid
            of_term[docids[document]] = posting.tf
        assert (len(of_term), sum(of_term.values())) == (found.df, found.cf)
    return CiffIndex(header, postings, {r.collection_docid: r.doclength for r in records})
