"""BM25 scores of given pairs of a query and a document, by Anserini's own function."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro.base.progress import track
from repro.lucene.errors import opening
from repro.lucene.reader import open_reader


def bm25_scores(index: Path, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Return the scores (float32) of pairs of a query's text and a document's id in an index of texts.

    They are what a search has at Anserini's k1 and b, and 0 for a document without any of the query's terms.
    InputError if the folder is no index that can be read.
    """
    with open_reader(index) as reader, opening(index):
        from jnius import autoclass

        score = autoclass("io.anserini.index.IndexReaderUtils").computeQueryDocumentScore
        asked = track(pairs, len(pairs), "scoring with BM25", "pairs")
        return np.array([score(reader, docid, query) for query, docid in asked], np.float32)
