"""What Anserini's regressions compare of an index."""

from pathlib import Path

from repro.lucene.errors import opening
from repro.lucene.java import start_jvm


def index_statistics(index: Path) -> dict[str, int]:
    """Return an index's numbers as ``io.anserini.index.IndexReaderUtils -stats`` names them.

    InputError if the folder is no index that can be read.
    """
    start_jvm()
    from jnius import autoclass, cast

    path = autoclass("java.nio.file.Paths").get(str(index.resolve()))
    with opening(index):
        directory = autoclass("org.apache.lucene.store.FSDirectory").open(path)
        opened = autoclass("org.apache.lucene.index.DirectoryReader").open(directory)
        try:
            reader = cast("org.apache.lucene.index.IndexReader", opened)
            return {
                "documents": reader.numDocs(),
                "documents (non-empty)": reader.getDocCount("contents"),
                "total terms": reader.getSumTotalTermFreq("contents"),
            }
        finally:
            opened.close()
