"""What is counted in an index: what Anserini's regressions compare, and how many documents have a term."""

from pathlib import Path

from repro.lucene.reader import FIELD, open_reader


def index_statistics(index: Path) -> dict[str, int]:
    """Return an index's numbers as ``io.anserini.index.IndexReaderUtils -stats`` names them.

    InputError if the folder is no index that can be read.
    """
    with open_reader(index) as reader:
        return {
            "documents": reader.numDocs(),
            "documents (non-empty)": reader.getDocCount(FIELD),
            "total terms": reader.getSumTotalTermFreq(FIELD),
        }


def document_frequencies(index: Path) -> tuple[int, dict[str, int]]:
    """Return the number of an index's documents with any term, and of those with each term.

    InputError if the folder is no index that can be read.
    """
    with open_reader(index) as reader:
        from jnius import autoclass

        terms = autoclass("org.apache.lucene.index.MultiTerms").getTerms(reader, FIELD)
        found = {}
        if terms is not None:  # else no document has any
            enumeration = terms.iterator()
            while (term := enumeration.next()) is not None:
                found[term.utf8ToString()] = enumeration.docFreq()
        return reader.getDocCount(FIELD), found
