"""Encoding in shares, as several machines would: what is merged of them has the bytes of a lone encoding."""

import json
import shutil

import pytest
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir

SYSTEMS = {
    "splade-tiny": "path.name == 'part-00003.jsonl.gz'",
    "all-minilm-l6-v2": "path.name == 'docid' and path.read_bytes().count(b'\\n') == 2",
}
"""Each with what tells that the second shard of a share is flushed."""
ENCODE = ["repro.encode", "--collection", "tiny", "--only", "documents", "--system"]
SIZE = ["--shard-size", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six passages, encoded by one process, into ``alone``."""
    folder = tmp_path_factory.mktemp("shares")
    write_beir(folder / "tiny")
    for system in SYSTEMS:
        succeed(*ENCODE, system, *SIZE, "--work", "alone", cwd=folder, by=run_here)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def manifest(folder, work, system):
    return json.loads((folder / work / f"encoded/tiny/{system}.manifest.json").read_text())


@pytest.mark.parametrize("system", SYSTEMS)
def test_three_machines_one_killed_leave_the_same_bytes(folder, system):
    """Two have a folder in common, the third one has its own."""
    command = [*ENCODE, system]
    dies = folder / f"dies.{system}"
    dies.mkdir()
    (dies / "sitecustomize.py").write_text(  # in the second of its two shards
        "import os, repro.pipeline.encoding as e\nflush = e.flush\n"
        f"e.flush = lambda path, **k: os._exit(9) if {SYSTEMS[system]} else flush(path, **k)\n"
    )
    succeed(*command, *SIZE, "--shard", "1/3", cwd=folder, by=run_here)
    killed = run(*command, *SIZE, "--shard", "2/3", cwd=folder, PYTHONPATH=f"{dies}:{REPOSITORY}")
    assert killed.returncode == 9
    missing = refused(*command, "--merge", cwd=folder, by=run_here)
    assert "2 of 3 shares are missing (2/3, 3/3)" in missing and "--shard 2/3 --shard-size 1" in missing
    again = run_here(*command, *SIZE, "--shard", "2/3", cwd=folder)
    assert again.returncode == 0 and "going on after 1 of 2 documents" in again.stderr
    succeed(*command, *SIZE, "--shard", "3/3", "--work", "third", cwd=folder, by=run_here)
    made = folder / "work/encoded/tiny" / system
    assert str(made.relative_to(folder)) in succeed(*command, "--merge", "third", cwd=folder, by=run_here)
    assert contents(made) == contents(folder / "alone/encoded/tiny" / system)
    merged, alone = (manifest(folder, work, system) for work in ("work", "alone"))
    names = ("inputs", "counts", "settings", "parameters", "weights", "system", "collection")
    assert [merged[name] for name in names] == [alone[name] for name in names]
    assert merged.keys() == alone.keys()
    assert not list(made.parent.glob(f"{system}.shard-*"))
    assert (folder / f"third/encoded/tiny/{system}.shard-3-of-3").is_dir()  # not ours to remove
    before = made.stat().st_mtime_ns
    succeed(*command, cwd=folder, by=run_here)  # whatever is merged is current
    succeed(*command, *SIZE, "--shard", "1/3", cwd=folder, by=run_here)
    assert made.stat().st_mtime_ns == before and not list(made.parent.glob(f"{system}.shard-*"))


def test_shares_of_other_settings_are_not_mixed(folder, tmp_path):
    shutil.copytree(folder / "tiny", tmp_path / "tiny")
    command = [*ENCODE, "splade-tiny", "--shard-size", "3"]
    succeed(*command, "--shard", "1/2", cwd=tmp_path, by=run_here)
    succeed(*command, "--shard", "2/2", "--scale", "20", cwd=tmp_path, by=run_here)
    sentence = refused(*ENCODE, "splade-tiny", "--merge", cwd=tmp_path, by=run_here)
    assert "splade-tiny.shard-2-of-2 was encoded with other settings (scale)" in sentence
    assert "--shard 2/2 --force" in sentence
    assert not (tmp_path / "work/encoded/tiny/splade-tiny").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--shard", "4/3"], "--shard 4/3: expected I/N, the I-th of N shares"),
        (["--shard", "2"], "--shard 2: expected I/N, the I-th of N shares"),
        (["--shard", "1/3"], "the 6 documents of tiny-test make 1 shards of 100,000"),
        (["--merge"], "there is no share of"),
        (["--merge", "nowhere"], "--merge nowhere: no such folder"),
        (
            ["--shard", "1/3", "--merge"],
            "--shard makes a share, --merge puts shares together: expected one of them",
        ),
        (["--gpus", "1"], "--ray-address and --gpus are of --engine ray"),
        (["--engine", "ray", "--merge"], "leave --shard and --merge out"),
    ],
)
def test_what_makes_no_share_is_refused(folder, tmp_path, options, expected):
    shutil.copytree(folder / "tiny", tmp_path / "tiny")
    assert expected in refused(*ENCODE, "splade-tiny", *options, cwd=tmp_path, by=run_here)
