"""Lay a Lucene index's postings out for the compiled search."""

from pathlib import Path

from repro.base.progress import track
from repro.lucene.posting_lists import PostingsReader
from repro.postings.layout import write


def build_postings(index: Path, folder: Path) -> dict[str, int]:
    """Write the postings of an index of impacts into ``folder``; return the counts of documents and postings.

    In memory are, at a time, all ids and one list. InputError if there is no index.
    """
    with PostingsReader(index) as reader:
        docids = [docid.encode() for docid in reader.docids()]
        lists = track(reader.lists(), None, "laying out postings", "terms")
        postings = write(folder, reader.documents, lists, docids)
        return {"documents": reader.documents, "postings": postings}
