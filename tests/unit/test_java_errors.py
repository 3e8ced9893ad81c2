"""What Java throws, in a user's words."""

import pytest

from repro.lucene.errors import java_error


class Thrown(Exception):
    """As pyjnius's JavaException, which cannot be imported without starting a JVM."""

    def __init__(self, classname, innermessage):
        super().__init__(f"JVM exception occurred: {innermessage} {classname}")
        self.classname, self.innermessage = classname, innermessage


@pytest.mark.parametrize(
    ("name", "message", "sentence"),
    [
        (
            "org.apache.lucene.index.IndexNotFoundException",
            "no segments* file found in MMapDirectory@/home/me/index "
            "lockFactory=org.apache.lucene.store.NativeFSLockFactory@1dd92fe2: files: []",
            "there is no index in this folder",
        ),
        (
            "org.apache.lucene.index.CorruptIndexException",
            "codec footer mismatch (file truncated?): actual footer=1 vs expected footer=2 "
            '(resource=ByteBufferIndexInput(path="/home/me/index/_2.fdt"))',
            "_2.fdt is damaged or missing",
        ),
        (
            "org.apache.lucene.index.CorruptIndexException",
            "Problem reading index. (resource=/home/me/index/_2.nvd)",
            "_2.nvd is damaged or missing",
        ),
        (
            "org.apache.lucene.index.CorruptIndexException",
            "Problem reading index from MMapDirectory@/home/me (resource=MMapDirectory@/home/me)",
            "a file is damaged or missing",
        ),
        ("java.nio.file.NoSuchFileException", "/home/me/index/_2.si", "_2.si is missing"),
        ("java.nio.file.FileAlreadyExistsException", "/home/me/index", "index is a file, not a folder"),
        (
            "java.lang.OutOfMemoryError",
            "Java heap space",
            "Java's memory is used up (fewer --threads need less)",
        ),
        ("java.io.IOException", "No space left on device", "no space is left on the disk"),
        ("java.io.IOException", "shard, line 3: expected a record", "shard, line 3: expected a record"),
        (
            "java.lang.RuntimeException",
            "java.util.concurrent.ExecutionException: java.lang.IllegalStateException: it is closed\n\tat",
            "it is closed",
        ),
        ("java.lang.NullPointerException", None, "Java gave no reason"),
    ],
)
def test_the_sentence_has_no_names_of_classes(name, message, sentence):
    assert java_error(Thrown(name, message)) == sentence
