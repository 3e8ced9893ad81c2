"""Indexing in shares, as several machines would: what Lucene merges of them is the ordinary index."""

import shutil
import subprocess
import sys
from unittest import mock

import pytest
from conftest import refused, run_here, succeed
from test_shares import ENCODE, SIZE, contents, folder  # noqa: F401  (a fixture)

from repro.formats.impact_vectors import read_vectors, shard_path, write_shard
from repro.lucene.indexing import commit_manifest, compare_indexes
from repro.lucene.posting_lists import PostingsReader
from repro.pipeline import shared_indexing

SAMPLE = ["--collection", "sample", "--threads", "1", "--system"]


def docids(index):
    with PostingsReader(index) as reader:
        return list(reader.docids())


def search(system, runs, cwd):
    scorer = [] if system == "bm25" else ["--scorer", "lucene"]
    command = ["repro.search", *SAMPLE, system, "--force", *scorer, "--runs", runs]
    return (cwd / succeed(*command, cwd=cwd, by=run_here).strip()).read_bytes()


def cut(encoded, documents):
    """Have an encoding in smaller shards, as a lower --shard-size leaves it."""
    vectors = list(read_vectors(encoded))
    for number, start in enumerate(range(0, len(vectors), documents)):
        write_shard(shard_path(encoded, number), vectors[start : start + documents])


@pytest.mark.parametrize("system", ["splade-tiny", "bm25"])
def test_three_machines_leave_the_ordinary_index(measured_sample, system):
    """Two have a folder in common, the third one has its own."""
    work, third = measured_sample / "work", measured_sample / "third"
    laid_out = [] if system == "bm25" else ["--postings"]
    command, here = ["repro.index", *SAMPLE, system], {"cwd": measured_sample, "by": run_here}
    if system != "bm25":
        cut(work / "encoded/sample" / system, 500)
        shutil.copytree(work / "encoded", third / "encoded")
    index = measured_sample / succeed(*command, "--force", *laid_out, **here).strip()
    run = search(system, "alone", measured_sample)
    alone, postings_folder = index.rename(work / "alone"), index.with_name(f"{index.name}.postings")
    if laid_out:
        alone_postings = shutil.copytree(postings_folder, work / "alone.postings")
        (postings_folder / "stale").touch()  # these are of no index that is merged

    for share, place in (("1/3", "work"), ("3/3", "third")):
        succeed(*command, "--shard", share, "--work", place, **here)
    missing = refused(*command, "--merge", "third", **here)
    assert (
        "1 of 3 shares are missing (2/3); make them with python -m repro.index --shard 2/3 (same" in missing
    )
    succeed(*command, "--shard", "2/3", **here)
    with mock.patch.object(shared_indexing, "put_in_place", side_effect=OSError(28, "No space left")):
        refused(*command, "--merge", "third", **here)
    assert not index.exists()
    assert succeed(*command, "--merge", "third", *laid_out, **here).strip() == str(
        index.relative_to(measured_sample)
    )
    postings, differences = compare_indexes(index, alone)
    assert differences == [] and postings > 50_000
    assert docids(index) == docids(alone)
    assert len(list(index.glob("_*.si"))) == 1  # one segment
    assert commit_manifest(index)["inputs"]["stage"] == "index"
    assert search(system, "merged", measured_sample) == run
    if laid_out:
        assert contents(postings_folder) == contents(alone_postings)
    assert not list(index.parent.glob("*.shard-*-of-*"))
    assert (third / "indexes" / f"{index.name}.shard-3-of-3").is_dir()  # not ours to remove
    if system == "bm25":
        return
    code = (
        "from repro.lucene.pyserini import prepare_pyserini\nprepare_pyserini()\n"
        "from pyserini.index.lucene import LuceneIndexReader\n"
        f"print(LuceneIndexReader({str(index)!r}).stats()['documents'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) == len(docids(alone))


def test_encoded_shares_are_indexed_where_they_lie(folder):  # noqa: F811
    shared, here = ["--work", "shared", *SIZE], {"cwd": folder, "by": run_here}
    command = ["repro.index", "--collection", "tiny", "--system", "splade-tiny", "--work"]
    assert "neither shared/encoded/tiny/splade-tiny nor share 1/2 of it is there" in refused(
        *command, "shared", "--shard", "1/2", **here
    )
    for share in ("1/2", "2/2"):
        succeed(*ENCODE, "splade-tiny", *shared, "--shard", share, **here)
        succeed(*command, "shared", "--shard", share, **here)
    other = refused(*command, "shared", "--merge", "--store-raw", **here)
    assert "shard-1-of-2 was indexed with other settings (built.store_raw)" in other
    index, ordinary = (
        folder / succeed(*command, *options, **here).strip() for options in (["shared", "--merge"], ["alone"])
    )
    assert compare_indexes(index, ordinary)[1] == []
    assert sorted(docids(index)) == ["d1", "d2", "d3", "d4", "d5", "d6"]


@pytest.mark.parametrize(
    ("system", "options", "expected"),
    [
        ("bm25", ["--shard", "1/7"], "the 6 documents of tiny-test make 6 shards of 1; expected"),
        ("bm25", ["--shard", "1/2", "--merge"], "expected one of them"),
        ("bm25", ["--merge"], "there is no share of work/indexes/lucene-bm25.tiny"),
        ("splade-tiny", ["--shard", "1/2", "--postings"], "give it with --merge"),
        ("all-minilm-l6-v2", ["--shard", "1/2"], "--shard and --merge are of Lucene's indexes"),
    ],
)
def test_what_makes_no_share_is_refused(folder, tmp_path, system, options, expected):  # noqa: F811
    shutil.copytree(folder / "tiny", tmp_path / "tiny")
    command = ["repro.index", "--collection", "tiny", "--system", system, *options]
    assert expected in refused(*command, cwd=tmp_path, by=run_here)
