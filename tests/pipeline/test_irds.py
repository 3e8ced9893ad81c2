"""ir_datasets ids, through ir_datasets' own API, with a small data set registered there."""

import json
import runpy

import pytest
from conftest import REPOSITORY, refused, run_here, succeed

from repro.base.files import read_json

REGISTER = """
import ir_datasets
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import GenericDoc, GenericQuery, TrecQrel, TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import Cache, Download, LocalDownload, RequestsDownload
from pathlib import Path

folder = Path({folder!r})
docs = TsvDocs(LocalDownload(folder / "docs.tsv"), namespace="tiny-passage")
queries = TsvQueries(LocalDownload(folder / "queries.tsv"))
qrels = TrecQrels(LocalDownload(folder / "qrels.txt"), {{1: "relevant"}})
small = TrecQrels(LocalDownload(folder / "small.txt"), {{1: "relevant"}})
ir_datasets.registry.register("tiny-passage", Dataset(docs))
ir_datasets.registry.register("tiny-passage/dev", Dataset(docs, queries, qrels))
ir_datasets.registry.register("tiny-passage/dev/small", Dataset(docs, queries, small))


class Warc(TsvDocs):
    def docs_iter(self):
        return ir_datasets.lazy_libs.warc()


unreachable = RequestsDownload("http://127.0.0.1:9/docs.tsv", tries=1)
changed = Cache(Download([LocalDownload(folder / "docs.tsv")], expected_md5="0" * 32), folder / "cached")
for name, failing in (
    ("unreachable", TsvDocs(Cache(Download([unreachable]), folder / "none"), namespace="x")),
    ("changed", TsvDocs(changed, namespace="x")),
    ("package", Warc(LocalDownload(folder / "docs.tsv"), namespace="x")),
):
    ir_datasets.registry.register("failing-" + name, Dataset(failing, queries, qrels))
"""


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A folder whose PYTHONPATH makes every process know the ids tiny-passage, .../dev and .../dev/small."""
    folder = tmp_path_factory.mktemp("irds")
    (folder / "docs.tsv").write_text(
        "d1\tThe sea rises twice a day.\nd2\tYeast makes bread rise.\nd3\tSalt.\n"
    )
    (folder / "queries.tsv").write_text("q1\twhen does the sea rise\nq2\twhy bread rises\nq3\tnot judged\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    (folder / "small.txt").write_text("q2 0 d2 1\n")
    (folder / "sitecustomize.py").write_text(REGISTER.format(folder=str(folder)))
    runpy.run_path(str(folder / "sitecustomize.py"))  # in this process, too
    return folder, {"PYTHONPATH": f"{folder}:{REPOSITORY}"}


def test_ids_go_to_one_table_and_the_corpus_is_shared(registered):
    folder, environment = registered
    command = ["repro.table", "--systems", "bm25,splade-tiny", "--collection", "tiny-passage", "--topics"]
    printed = succeed(*command, "dev,dev/small", cwd=folder, by=run_here, **environment)
    assert printed.startswith("tiny-passage-dev+dev-small, judged queries: 2 of dev, 1 of dev/small\n")
    rows = json.loads((folder / "tables/tiny-passage-dev+dev-small.json").read_text())["rows"]
    assert [row["figures"]["RR@10"] for row in rows] == [1.0] * 4
    encoded = read_json(folder / "work/encoded/tiny-passage/splade-tiny.manifest.json")
    index = read_json(folder / "work/indexes/lucene-impact.tiny-passage.splade-tiny.manifest.json")
    assert encoded["collection"] == "tiny-passage-dev"  # and not once more for the other
    assert "--collection tiny-passage/dev --" in index["made"]["command"]


def test_id_without_queries_or_with_a_split_is_refused(registered):
    folder, environment = registered
    stage = ["repro.table", "--systems", "bm25", "--collection"]
    assert "has no queries" in refused(*stage, "tiny-passage", cwd=folder, **environment)
    split = refused(*stage, "tiny-passage/dev", "--split", "x", cwd=folder, by=run_here)
    assert "names its own split" in split


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unreachable", "Connection refused"),
        ("changed", "Expected md5 hash to be 0000"),
        ("package", "This dataset requires warc. Run 'pip install"),
    ],
)
def test_what_ir_datasets_cannot_fetch_or_read_is_told_in_a_sentence(registered, name, reason):
    folder, _ = registered
    command = ["repro.table", "--systems", "bm25", "--collection", f"failing-{name}"]
    error = refused(*command, cwd=folder, by=run_here)
    assert error.startswith(
        f"error: --collection failing-{name}: ir_datasets cannot fetch or read its docs ("
    )
    assert reason in error


def test_id_that_has_no_documents_is_refused(tmp_path):
    error = refused("repro.table", "--collection", "beir", cwd=tmp_path, by=run_here)
    assert error == "error: --collection beir: this ir_datasets id has no docs; choose one that has"
