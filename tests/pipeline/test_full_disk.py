"""Each stage on a disk that becomes full while it writes: one sentence, nothing half-made counts as
finished, and with space again the same command ends with an undisturbed run's bytes.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import refused, run, run_here, succeed
from stages import COMMON, STAGES, Stage, all_made, differences

PAGES = {
    "encode splade": (1, 5),
    "encode dense": (2, 4),
    "index bm25": (2, 5),  # Anserini only logs it: the index would be without a commit
    "index splade": (2, 5),
    "index dense": (0, 2),  # the vectors are links
    "search bm25": (2,),
    "search splade": (0, 2),
    "search dense": (2,),
    "table": (0, 2),
}
"""Free pages of the disk, by stage: too few at different moments of its writing, with room to what is enough
(what Lucene needs differs by some pages from run to run)."""
FURTHER = {
    "postings": Stage(
        ("repro.index", *COMMON, "splade-tiny", "--postings"),
        ("work/indexes/lucene-impact.tiny.splade-tiny",),
    ),
    "hnsw": Stage(
        ("repro.index", *COMMON, "all-minilm-l6-v2", "--faiss", "hnsw"),
        ("work/indexes/faiss-hnsw.tiny.all-minilm-l6-v2",),
    ),
}
"""Stages that have no undisturbed run to compare with: they must end well once there is space."""


@pytest.fixture
def disk(tmp_path):
    """A file system of its own in memory; skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("no file system of a chosen size can be mounted here: that takes root and Linux")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def leave(disk: Path, pages: int) -> None:
    """Fill the disk up to so many pages."""
    (disk / "filler").unlink(missing_ok=True)
    free = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, (free.f_bavail - pages) * free.f_frsize)


def refused_with_each(stage: Stage, folder: Path, pages: tuple[int, ...]) -> None:
    """Run the stage with so many pages free, which must be too few; what it made must not be there."""
    by = run if "all-minilm-l6-v2" in stage.command and stage.command[0] != "repro.encode" else run_here
    for free in pages:
        leave(folder.parent, free)
        sentence = refused(*stage.command, cwd=folder, by=by, HF_HUB_OFFLINE="1")
        assert "no space left on the disk: free some, or name folders on another" in sentence, free
        assert any(f"({made}" in sentence for made in stage.made), sentence
    (folder.parent / "filler").unlink()


@pytest.mark.parametrize("name", PAGES)
def test_a_full_disk_is_a_sentence_and_costs_nothing_but_time(tmp_path_factory, disk, name):
    whole, stage = all_made(tmp_path_factory), STAGES[name]
    folder = shutil.copytree(whole, disk / "folder", symlinks=True)
    stage.undo(folder)
    refused_with_each(stage, folder, PAGES[name])
    assert not (folder / f"{stage.made[0]}.manifest.json").exists()
    stage.finish(folder)
    assert differences(stage, folder, whole) == []
    names = {path.name for path in folder.rglob("*")}
    assert not [name for name in names if ".partial" in name or ".commit" in name or name.endswith(".tmp")]


def test_merging_the_shares_of_an_index_is_refused_alike(tmp_path_factory, disk):
    whole, stage = all_made(tmp_path_factory), STAGES["index bm25"]
    folder = shutil.copytree(whole, disk / "folder", symlinks=True)
    stage.undo(folder)
    for share in ("1/2", "2/2"):
        succeed(*stage.command, "--shard", share, cwd=folder, by=run_here)
    merging = Stage((*stage.command, "--merge"), stage.made)
    refused_with_each(merging, folder, (2, 5))
    assert not (folder / stage.made[0]).exists()
    merging.finish(folder)
    assert differences(stage, folder, whole) == []


@pytest.mark.parametrize(("name", "pages"), [("postings", 20), ("hnsw", 3)])
def test_postings_and_graphs_are_refused_alike(tmp_path_factory, disk, name, pages):
    folder = shutil.copytree(all_made(tmp_path_factory), disk / "folder", symlinks=True)
    FURTHER[name].undo(folder)
    refused_with_each(FURTHER[name], folder, (pages,))
    FURTHER[name].finish(folder)
    assert (folder / FURTHER[name].made[0]).is_dir()
