"""BMP (block-max pruning, ``pip install bmp``) on an exported index: its rankings are those of our search."""

import numpy as np
import pytest

from repro.benchmarks.block_max import weighed
from repro.cli.export_options import CiffOptions
from repro.exporting.ciff import write_index
from repro.library.index import Index
from repro.lucene.searching import BatchSearcher, impact_query

bmp = pytest.importorskip("bmp", reason="bmp is not installed: pip install bmp")

DOCUMENTS, TERMS = 600, 80
DEPTH = 10
"""Few of the documents: BMP 0.2.8 never scores the last of the blocks that it has ordered by their bounds."""


def vectors(seed: int, count: int, size: int, largest: int) -> list[dict[str, int]]:
    """Return vectors of random terms, few of them frequent, with impacts up to ``largest``."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, TERMS + 1)
    return [
        {f"t{term}": int(rng.integers(1, largest + 1)) for term in chosen}
        for chosen in (rng.choice(TERMS, size, replace=False, p=shares / shares.sum()) for _ in range(count))
    ]


@pytest.mark.parametrize("largest", [200, 400])
def test_bmp_finds_the_same_but_for_ties(tmp_path, largest):
    """BMP holds an impact in a byte, so those above 255 are cut off by --bits 8; the index that we search has
    the impacts that were written.
    """
    documents = vectors(1, DOCUMENTS, 12, largest)
    ids = [f"d{number}" for number in range(DOCUMENTS)]
    whole = Index.build(tmp_path / "whole", zip(ids, documents), threads=1)
    written = write_index(whole.path, tmp_path / "index.ciff", CiffOptions(bits=8))
    assert (written.cost["inexact"] > 0) == (largest > 255)
    cut = [{term: min(impact, 255) for term, impact in vector.items()} for vector in documents]
    index = Index.build(tmp_path / "cut", zip(ids, cut), threads=1)
    bmp.ciff2bmp(str(tmp_path / "index.ciff"), str(tmp_path / "index.bmp"), 8, False)
    searcher = bmp.Searcher(str(tmp_path / "index.bmp"))
    queries = vectors(2, 20, 6, 100)
    with BatchSearcher(index.path, 1) as ours:
        rankings = ours.search([impact_query(weighed(query)) for query in queries], DEPTH)
        for query, ranking in zip(queries, rankings, strict=True):
            weights = {term: float(weight) for term, weight in query.items()}
            docids, scores = searcher.search(weights, k=DEPTH, alpha=1.0, beta=1.0)
            assert scores == ranking.scores.tolist() and len(scores) == DEPTH
            assert above_the_last(docids, scores) == above_the_last(ranking.docids, scores)


def above_the_last(docids: list[str], scores: list[float]) -> list[set[str]]:
    """Return the documents of each score but the last, whose ties the cut divides."""
    return [
        {docid for docid, of_one in zip(docids, scores) if of_one == score}
        for score in sorted(set(scores))[1:]
    ]
