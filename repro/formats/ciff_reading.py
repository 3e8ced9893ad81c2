"""A reader of the Common Index File Format that has nothing in common with the writer: messages are parsed by
the protobuf package, with the schema of github.com/osirrc/ciff (CommonIndexFileFormat.proto).
"""

from collections.abc import Iterator
from functools import cache
from os import SEEK_END
from types import SimpleNamespace
from typing import IO, Any, NamedTuple

import numpy as np
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from repro.base.errors import InputError
from repro.formats.ciff import PostingsList

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
LONGEST_VARINT = 10
"""Bytes of a 64-bit number."""
LONGEST_MESSAGE = 2**31 - 1
"""Bytes; protobuf takes no more."""


class DocRecord(NamedTuple):
    """A document's id and its length, the sum of its impacts."""

    docid: str
    length: int


class CiffReader:
    """A file that is read once, from beginning to end: first ``header``, then the lists, then the documents.

    It can be sought in. ``name`` stands in messages. InputError for what is not in the format.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name, self._place = file, name, file.tell()
        self._end = file.seek(0, SEEK_END)
        file.seek(self._place)
        self.header = self._read(schema().Header)

    def lists(self) -> Iterator[PostingsList]:
        """Yield the lists of postings; to be read first."""
        for _ in range(self.header.num_postings_lists):
            found = self._read(schema().PostingsList)
            count = len(found.postings)
            gaps = np.fromiter((posting.docid for posting in found.postings), np.int64, count)
            impacts = np.fromiter((posting.tf for posting in found.postings), np.int64, count)
            if (count, impacts.sum()) != (found.df, found.cf):
                raise self._damaged(
                    f"the list of {found.term!r} has {count:,} postings with a sum of {impacts.sum():,}, and "
                    f"states {found.df:,} with {found.cf:,}"
                )
            yield PostingsList(found.term, gaps.cumsum(), impacts)

    def documents(self) -> Iterator[DocRecord]:
        """Yield the documents, numbered from 0 up; to be read after the lists."""
        for number in range(self.header.num_doc_records):
            found = self._read(schema().DocRecord)
            if found.docid != number:
                raise self._damaged(f"document {number:,} has the number {found.docid:,}")
            yield DocRecord(found.collection_docid, found.doclength)
        if self._file.read(1):
            raise self._damaged(f"more stands after its {self.header.num_doc_records:,} documents")

    def _read(self, kind: Any) -> Any:
        """Return the next message, which stands behind its length."""
        begin = self._place
        size = self._varint()
        if size > self._end - self._place:  # before it is read: such a size can be more than memory holds
            raise self._damaged(f"it ends within the message at byte {begin:,}, of {size:,} bytes")
        if size > LONGEST_MESSAGE:
            raise self._damaged(f"the message at byte {begin:,} has {size:,} bytes, more than one can have")
        data = self._file.read(size)
        self._place += size
        try:
            return kind.FromString(data)
        except DecodeError:
            raise self._damaged(f"the message at byte {begin:,} is no {kind.DESCRIPTOR.name}") from None

    def _varint(self) -> int:
        value = 0
        for position in range(LONGEST_VARINT):
            byte = self._file.read(1)
            self._place += 1
            if not byte:
                raise self._damaged(f"it ends at byte {self._place - 1:,}, where a message is expected")
            value |= (byte[0] & 0x7F) << 7 * position
            if byte[0] < 0x80:
                return value
        raise self._damaged(f"no length of a message stands before byte {self._place:,}")

    def _damaged(self, reason: str) -> InputError:
        return InputError(f"{self._name}: not a whole file in the Common Index File Format: {reason}")


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
