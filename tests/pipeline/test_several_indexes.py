"""Indexes of parts of a collection, searched together: the run has the bytes of one index's."""

import shutil

import pytest
from conftest import copy_measured_sample, refused, run_here, succeed

from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import read_json
from repro.formats.impact_vectors import read_vectors, write_shard
from repro.lucene.indexing import Indexing, build_impact_index
from repro.pipeline.merging import EXACT, merge
from repro.postings.building import build_postings
from repro.postings.compiled import unavailable

SYSTEM = ["--system", "splade-tiny"]
PARTS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample, measured, and indexes of thirds of it in ``parts``, the second with postings."""
    folder = copy_measured_sample(tmp_path_factory, tmp_path_factory.mktemp("several") / "sample")
    whole = read_json(folder / "work/indexes/lucene-impact.sample.splade-tiny.manifest.json")
    vectors = list(read_vectors(folder / "work/encoded/sample/splade-tiny"))
    for number in range(PARTS):
        third = vectors[number::PARTS]
        (folder / f"vectors-{number}").mkdir()
        write_shard(folder / f"vectors-{number}/part-00000.jsonl.gz", third)
        inputs = {**whole["inputs"], "encoded": f"a third, {number}"}
        index = Artifact(folder / f"parts/third-{number}.splade-tiny", inputs)
        with index.making():
            begun = index.begin()
            build_impact_index(folder / f"vectors-{number}", begun, len(third), Indexing(1), {})
            counts = {"documents": len(third)}
            index.finish(begun, counts=counts, built={}, bytes=1, written_by=whole["written_by"])
        if number == 1:
            inputs = {"stage": "postings", "format": 1, "index": index.fingerprint}
            postings = Artifact(index.path.with_name(f"{index.path.name}.postings"), inputs)
            with postings.making():
                begun = postings.begin()
                postings.finish(begun, counts=build_postings(index.path, begun), bytes=1)
    return folder


def indexes(*numbers):
    return ",".join(f"parts/third-{number}.splade-tiny" for number in numbers)


def searched(folder, *options):
    path = folder / succeed("repro.search", *SYSTEM, *options, cwd=folder, by=run_here).strip()
    return path.read_bytes(), read_json(path.with_name(f"{path.name}.manifest.json"))


def test_the_run_is_that_of_one_index(folder):
    orders = (0, 1, 2), (2, 0, 1)
    for order, options in zip(orders, ([], ["--hits", "40", "--ties", "trec_eval"])):
        expected, _ = searched(folder, *options)
        scores = [line.split()[4] for line in expected.decode().splitlines()]
        assert any("." in score for score in scores)  # which tie
        found, manifest = searched(folder, *options, "--index", indexes(*order))
        assert found == expected
        assert manifest["scorer"] == ("lucene" if unavailable() else "compiled, lucene")
        assert len(manifest["inputs"]["indexes"]) == PARTS and "index" not in manifest["inputs"]


def test_a_part_alone_has_its_documents_alone(folder):
    found, _ = searched(folder, "--index", indexes(0))
    ids = {vector.id for vector in read_vectors(folder / "vectors-0")}
    assert {line.split()[2] for line in found.decode().splitlines()} <= ids


def test_what_cannot_be_merged_is_refused(folder):
    def sentence(*options):
        return refused("repro.search", *options, "--force", cwd=folder, by=run_here)

    own = "work/indexes/lucene-impact.sample.splade-tiny"
    assert "scores of bm25 depend on statistics" in sentence("--system", "bm25", "--index", indexes(0))
    assert "splade-doc" in sentence("--system", "splade-doc:splade-tiny", "--index", indexes(0))
    assert "combines runs" in sentence("--system", "bm25+splade-tiny", "--index", indexes(0))
    assert "--index nowhere.splade-tiny: no whole index" in sentence(
        *SYSTEM, "--index", "nowhere.splade-tiny"
    )
    assert "occurs twice" in sentence(*SYSTEM, "--index", indexes(0, 0))
    assert "document " in (twice := sentence(*SYSTEM, "--index", f"{indexes(0)},{own}")) and own in twice
    assert "not an index of splade-tiny" in sentence(*SYSTEM, "--index", "work/indexes/lucene-bm25.sample")
    of_texts, copy = "work/indexes/lucene-bm25.sample", "parts/texts.splade-tiny"
    shutil.copytree(folder / of_texts, folder / copy)
    shutil.copy(folder / f"{of_texts}.manifest.json", folder / f"{copy}.manifest.json")
    assert "an index of another kind" in sentence(*SYSTEM, "--index", copy)


def test_sums_that_floats_do_not_hold_are_refused(tmp_path):
    parts = [iter([("q", {"a": float(EXACT)})]), iter([("q", {"b": 3.0})])]
    assert list(merge([tmp_path], parts, 1, "anserini")) == [("q", {"a": float(EXACT)})]
    parts = [iter([("q", {"a": EXACT + 2.0})]), iter([("q", {"b": 3.0})])]
    with pytest.raises(InputError, match="cannot be merged exactly"):
        list(merge([tmp_path], parts, 1, "anserini"))
