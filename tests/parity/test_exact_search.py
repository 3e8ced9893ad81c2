"""Lucene's ranking of impacts against the exact product of the vectors, on one thread and on many."""

import numpy as np
import pytest
from conftest import copy_measured_sample, run_here, succeed
from scipy.sparse import csr_matrix

from repro.formats.impact_vectors import read_vectors
from repro.formats.runs import ranked, read_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy_measured_sample(tmp_path_factory, tmp_path_factory.mktemp("exact") / "sample")


def matrix(vectors, terms):
    rows, columns, values = [], [], []
    for row, vector in enumerate(vectors):
        for term, impact in vector.vector.items():
            rows.append(row)
            columns.append(terms.setdefault(term, len(terms)))
            values.append(impact)
    return csr_matrix((values, (rows, columns)), shape=(len(vectors), 30522), dtype=np.int64)


@pytest.mark.parametrize("threads", [1, 4, 8])
def test_run_is_the_exact_product(folder, threads):
    """Several threads at once made pyjnius mix queries up, silently: hence to the last score."""
    stage = ["repro.search", "--system", "splade-tiny", "--force", "--threads", threads]
    run = read_run(folder / succeed(*stage, cwd=folder, by=run_here).strip())
    terms: dict[str, int] = {}
    documents = list(read_vectors(folder / "work/encoded/sample/splade-tiny"))
    queries = list(read_vectors(folder / "work/encoded/sample/splade-tiny.sample.queries"))
    scores = (matrix(queries, terms) @ matrix(documents, terms).T).toarray()
    assert run.keys() == {query.id for query in queries}
    for query, row in zip(queries, scores):
        expected = list(ranked({documents[j].id: float(row[j]) for j in np.flatnonzero(row)}))[:1000]
        assert list(run[query.id].items()) == [
            (docid, pytest.approx(float(s), rel=1e-6)) for docid, s in expected
        ]
