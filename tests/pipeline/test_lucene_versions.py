"""Indexes that another Lucene wrote: an older one's are searched, a newer one's are built anew.

``lucene_indexes`` has an index of the same three vectors by each Lucene that Pyserini 1.6.0 and 2.4.0 bring.
"""

import json
import zipfile
from pathlib import Path

import pytest
from conftest import refused, run, run_here, succeed

from repro.base.errors import InputError
from repro.lucene.searching import BatchSearcher, impact_query
from repro.lucene.version import FIRST, lucene_version, unreadable

INDEXES = sorted(Path(__file__).with_name("lucene_indexes").glob("lucene-*.zip"))


@pytest.mark.parametrize("archive", INDEXES, ids=lambda path: path.stem)
def test_a_real_index_is_read_just_if_its_version_says_so(archive, tmp_path):
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    if unreadable({"lucene": archive.stem.removeprefix("lucene-")}) is None:
        with BatchSearcher(tmp_path, 1) as searcher:
            (found,) = searcher.search([impact_query({"moon": 2, "tide": 1})], 10)
        assert found.results() == {"d1": 2 * 17 + 255, "d2": 2 * 3}
    else:
        with pytest.raises(InputError, match="that can be read: it was written by a newer Lucene; build it"):
            BatchSearcher(tmp_path, 1)


@pytest.mark.parametrize(
    ("installed", "written", "readable"),
    [
        ("9.9.1", "9.9.1", True),
        ("9.9.1", "9.10.0", False),
        ("9.9.1", "10.5.0", False),
        ("10.5.0", "9.9.1", True),
        ("10.5.0", "10.4.0", True),
        ("11.0.0", "9.9.1", False),
    ],
)
def test_versions_are_compared_as_numbers_and_one_major_version_back(
    installed, written, readable, monkeypatch
):
    monkeypatch.setattr("repro.lucene.version.lucene_version", lambda: installed)
    assert (unreadable({"lucene": written}) is None) == readable
    assert (unreadable({}) is None) == (installed != "11.0.0")  # an index of before versions were recorded


def test_the_version_is_what_lucene_itself_says():
    from repro.lucene.java import start_jvm

    start_jvm()
    from jnius import autoclass

    assert autoclass("org.apache.lucene.util.Version").LATEST.toString() == lucene_version()
    assert FIRST in [path.stem.removeprefix("lucene-") for path in INDEXES]


def test_an_index_of_a_newer_lucene_is_refused_in_searching_and_built_anew(beir):
    stage, folder = ["--collection", beir.name, "--system", "bm25"], beir.parent
    index = folder / succeed("repro.index", *stage, cwd=folder, by=run_here).strip()
    manifest = index.with_name(f"{index.name}.manifest.json")
    record = json.loads(manifest.read_text())
    assert record["written_by"] == {"lucene": lucene_version()}
    manifest.write_text(json.dumps({**record, "written_by": {"lucene": "99.1.0"}}))
    reason = (
        f"was written by Lucene 99.1.0, which the installed Pyserini's Lucene {lucene_version()} cannot read"
    )
    error = refused("repro.search", *stage, cwd=folder, by=run_here)
    assert f"{index.name} {reason}; run first: python -m repro.index" in error
    built = run("repro.index", *stage, cwd=folder)
    assert built.returncode == 0 and f"{index.name} {reason}: it is built anew" in built.stderr
    assert json.loads(manifest.read_text())["written_by"] == {"lucene": lucene_version()}
    searched = run("repro.search", *stage, cwd=folder)
    assert searched.returncode == 0 and (folder / searched.stdout.strip()).is_file()
    assert "WARNING" not in built.stderr + searched.stderr  # of Java or Lucene
