"""Real collections against figures that were computed independently: float32 weights, exact dot products.

Vaswani, Cranfield, CACM and XQuAD only, which take CI's minutes; README has the others, with the commands.
"""

import json
import re

import pytest
from conftest import LONG, REPOSITORY, real_collection, run_here, succeed

RESULTS = (REPOSITORY / "docs/results.md").read_text(encoding="utf-8")

REFERENCE = {  # nDCG@10, RR@10, non-zero terms of a document, of a query
    "vaswani": (0.3725, 0.6195, 87.90, 22.44),
    "cranfield": (0.3441, 0.5221, 239.26, 37.99),
    "cacm": (0.4260, 0.7087, 186.59, 71.88),
    "xquad-en": (0.9678, 0.9588, 220.17, 22.92),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=LONG if name == "vaswani" else ()) for name in REFERENCE]
)
def test_splade_tiny_matches_the_reference(name, tmp_path):
    table = ["repro.table", "--collection", real_collection(name), "--systems", "splade-tiny"]
    succeed(*table, cwd=tmp_path, by=run_here)
    (row,) = json.loads((tmp_path / f"tables/{name}-test.json").read_text())["rows"]
    summary = json.loads((tmp_path / f"work/collections/{name}/summary.json").read_text())["summary"]
    assert re.search(rf"^\| `{name}` .*\| `{summary['sha256'][:16]}` \|$", RESULTS, flags=re.MULTILINE)
    ndcg, rr, document_terms, query_terms = REFERENCE[name]
    assert row["figures"]["nDCG@10"] == pytest.approx(ndcg, abs=0.003)
    assert row["figures"]["RR@10"] == pytest.approx(rr, abs=0.01)
    assert row["document_terms"] == pytest.approx(document_terms, rel=0.005)
    assert row["query_terms"] == pytest.approx(query_terms, rel=0.005)
