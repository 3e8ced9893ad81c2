"""What Anserini's regressions compare of an index."""

from pathlib import Path

from repro.lucene.reader import open_reader


def index_statistics(index: Path) -> dict[str, int]:
    """Return an index's numbers as ``io.anserini.index.IndexReaderUtils -stats`` names them.

    InputError if the folder is no index that can be read.
    """
    with open_reader(index) as reader:
        return {
            "documents": reader.numDocs(),
            "documents (non-empty)": reader.getDocCount("contents"),
            "total terms": reader.getSumTotalTermFreq("contents"),
        }
