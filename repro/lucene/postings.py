"""A document's impacts, read from an index's postings."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from repro.lucene.reader import FIELD, open_reader


def document_impacts(index: Path, docid: str, terms: Iterable[str]) -> dict[str, int] | None:
    """Return those of ``terms`` that stand in a document with their impacts; None if there is no such
    document.

    InputError if the folder is no index that can be read.
    """
    with open_reader(index) as reader:
        from jnius import autoclass

        bytes_ref = autoclass("org.apache.lucene.util.BytesRef")
        multi_terms = autoclass("org.apache.lucene.index.MultiTerms")

        def postings(field: str, term: str) -> Any:
            return multi_terms.getTermPostingsEnum(reader, field, bytes_ref(term.encode()))

        found = postings("id", docid)
        if found is None:
            return None
        document = found.nextDoc()
        impacts = {}
        for term in terms:
            found = postings(FIELD, term)
            if found is not None and found.advance(document) == document:
                impacts[term] = found.freq()
        return impacts
