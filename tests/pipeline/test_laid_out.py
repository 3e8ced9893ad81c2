"""Postings laid out beside an index: made by repro.index, searched by repro.search, for the same run."""

import json
import shutil

import pytest
from conftest import copy_measured_sample, refused, run, run_here, succeed

from repro.cli.options import CollectionOptions, RunsOptions, WorkOptions
from repro.pipeline.opening import open_artifacts
from repro.postings.compiled import unavailable
from repro.report.resources import resources

if reason := unavailable():
    pytest.skip(reason, allow_module_level=True)

SYSTEM = ["--system", "splade-tiny"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample, measured."""
    return copy_measured_sample(tmp_path_factory, tmp_path_factory.mktemp("laid-out") / "sample")


@pytest.fixture
def index(folder):
    """The index, without its postings."""
    index = folder / "work/indexes/lucene-impact.sample.splade-tiny"
    yield index
    for path in index.parent.glob(f"{index.name}.postings*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def searched(folder, *options):
    """Search anew; return the run's bytes and what added its impacts up."""
    path = folder / succeed("repro.search", *SYSTEM, "--force", *options, cwd=folder, by=run_here).strip()
    return path.read_bytes(), json.loads(path.with_name(f"{path.name}.manifest.json").read_text())["scorer"]


def test_the_run_is_the_same(folder, index):
    expected, scorer = searched(folder)
    assert scorer == "lucene" and len(expected) > 10_000
    files = {path.name: path.read_bytes() for path in index.iterdir()}
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    assert {path.name: path.read_bytes() for path in index.iterdir()} == files
    manifest = json.loads(index.with_name(f"{index.name}.postings.manifest.json").read_text())
    assert manifest["counts"]["postings"] > 10_000 and manifest["bytes"] > 10_000
    assert searched(folder) == searched(folder, "--scorer", "compiled") == (expected, "compiled")
    assert searched(folder, "--scorer", "lucene") == (expected, "lucene")
    for options in (["--ties", "trec_eval"], ["--hits", "3", "--threads", "3"]):
        assert searched(folder, *options)[0] == searched(folder, *options, "--scorer", "lucene")[0]


def test_postings_of_another_index_are_not_searched(folder, index):
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    path = index.with_name(f"{index.name}.postings.manifest.json")
    manifest = json.loads(path.read_text())
    manifest["inputs"]["index"] = "of another"
    path.write_text(json.dumps(manifest))
    assert searched(folder)[1] == "lucene"
    message = refused("repro.search", *SYSTEM, "--force", "--scorer", "compiled", cwd=folder, by=run_here)
    assert f"{path.name.removesuffix('.manifest.json')} is missing or was made from something else" in message
    assert "repro.index --postings" in message


def test_postings_of_an_index_that_was_built_anew_are_not_searched(folder, index):
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    succeed("repro.index", *SYSTEM, "--force", cwd=folder, by=run_here)
    assert searched(folder)[1] == "lucene"
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    assert searched(folder)[1] == "compiled"


def test_a_row_counts_the_postings_that_were_searched(folder, index):
    def index_bytes():
        work, runs = WorkOptions(folder / "work"), RunsOptions(folder / "runs")
        of = open_artifacts("splade-tiny", CollectionOptions(), work, runs=runs)
        return resources(of, flops=False).index_bytes

    searched(folder)
    before = index_bytes()
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    searched(folder)
    postings = json.loads(index.with_name(f"{index.name}.postings.manifest.json").read_text())["bytes"]
    assert index_bytes() == before + postings


def test_a_table_has_them_laid_out_before_it_searches(folder, index):
    expected, _ = searched(folder)
    table = ["--systems", "bm25,splade-tiny", "--postings", "--threads", "2"]
    commands = succeed("repro.table", *table, "--dry-run", cwd=folder, by=run_here)
    assert commands == ""  # nothing is searched
    (run_file,) = (folder / "runs").glob("*.splade-tiny.trec")
    run_file.unlink()
    commands = succeed("repro.table", *table, "--dry-run", cwd=folder, by=run_here).splitlines()
    assert [line.split()[2] for line in commands] == ["repro.index", "repro.search"]
    assert "--postings" in commands[0].split() and "--postings" not in commands[1].split()
    succeed("repro.table", *table, cwd=folder, by=run_here)
    manifest = json.loads(run_file.with_name(f"{run_file.name}.manifest.json").read_text())
    assert (run_file.read_bytes(), manifest["scorer"]) == (expected, "compiled")
    run_file.unlink()
    (command,) = succeed("repro.table", *table, "--dry-run", cwd=folder, by=run_here).splitlines()
    assert "repro.search" in command  # they are current
    searched(folder)


def test_without_compiled_code_the_index_is_searched(folder, index):
    succeed("repro.index", *SYSTEM, "--postings", cwd=folder, by=run_here)
    done = run("repro.search", *SYSTEM, "--force", cwd=folder, REPRO_NATIVE="0")
    assert done.returncode == 0 and "postings is not used: compiled code is switched off" in done.stderr
    forced = [*SYSTEM, "--force", "--scorer", "compiled"]
    done = run("repro.search", *forced, cwd=folder, REPRO_NATIVE="0")
    assert done.returncode == 2 and "search with --scorer lucene" in done.stderr


def test_only_indexes_of_impacts_have_postings(folder):
    message = refused("repro.index", "--system", "bm25", "--postings", cwd=folder, by=run_here)
    assert "--postings: the index of bm25 is none of impacts" in message
    message = refused(
        "repro.search", "--system", "bm25", "--force", "--scorer", "compiled", cwd=folder, by=run_here
    )
    assert "bm25 searches no index of impacts" in message
    message = refused("repro.search", "--system", "bm25", "--scorer", "compiled", cwd=folder, by=run_here)
    assert "bm25 searches no index of impacts" in message  # also of a run that is current
