"""The stages of a small collection, for tests that disturb them: what each makes, and how to compare it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, made_once, run, run_here, succeed, write_beir

IGNORED = (".manifest.json", ".lock", ".tmp")
COMMON = ["--collection", "tiny", "--system"]


@dataclass(frozen=True)
class Stage:
    """A command, and the paths below its folder that it makes, manifests and locks included by prefix."""

    command: tuple[str, ...]
    made: tuple[str, ...]

    def undo(self, folder: Path) -> None:
        """Remove what it made."""
        for prefix in self.made:
            for path in folder.glob(f"{prefix}*"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def start(self, folder: Path, *options: str, **environment: str) -> subprocess.Popen:
        """Start it in ``folder``."""
        return subprocess.Popen(
            [sys.executable, "-m", *self.command, *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, folder: Path, *options: str) -> None:
        """Run it to its end in ``folder``, in this process but for FAISS, which shares none with torch."""
        by = run if "all-minilm-l6-v2" in self.command and self.command[0] != "repro.encode" else run_here
        succeed(*self.command, *options, cwd=folder, by=by, HF_HUB_OFFLINE="1")

    def lucene_indexes(self, folder: Path) -> list[Path]:
        """Return the Lucene indexes among what it made."""
        return [folder / prefix for prefix in self.made if "lucene" in prefix]

    def contents(self, folder: Path) -> dict[str, bytes]:
        """Return the bytes of all that it made, manifests and Lucene indexes aside."""
        paths = [path for prefix in self.made for path in sorted(folder.glob(f"{prefix}*"))]
        links = {path: os.fsencode(path.readlink()) for path in paths if path.is_symlink()}
        others = [path for path in paths if not path.is_symlink() and "lucene" not in path.name]
        below = [f for path in others for f in ([path] if path.is_file() else sorted(path.rglob("*")))]
        files = [file for file in below if file.is_file()]
        found = links | {file: _without_time(file) for file in files if not file.name.endswith(IGNORED)}
        return {str(path.relative_to(folder)): contents for path, contents in found.items()}


def _without_time(file: Path) -> bytes:
    """Return a file's bytes; of a table in JSON, without when and by what it was made."""
    if file.suffix != ".json":
        return file.read_bytes()
    record = json.loads(file.read_text())
    if not isinstance(record, dict):
        return file.read_bytes()
    return json.dumps({name: value for name, value in record.items() if name != "made"}).encode()


STAGES = {
    "encode splade": Stage(
        ("repro.encode", *COMMON, "splade-tiny", "--shard-size", "2"),
        ("work/encoded/tiny/splade-tiny", "work/models/splade-tiny"),
    ),
    "encode dense": Stage(
        ("repro.encode", *COMMON, "all-minilm-l6-v2", "--shard-size", "4"),
        ("work/encoded/tiny/all-minilm-l6-v2", "work/models/all-minilm-l6-v2"),
    ),
    "index bm25": Stage(("repro.index", *COMMON, "bm25"), ("work/indexes/lucene-bm25.tiny",)),
    "index splade": Stage(
        ("repro.index", *COMMON, "splade-tiny"), ("work/indexes/lucene-impact.tiny.splade-tiny",)
    ),
    "index dense": Stage(
        ("repro.index", *COMMON, "all-minilm-l6-v2"), ("work/indexes/faiss.tiny.all-minilm-l6-v2",)
    ),
    "search bm25": Stage(("repro.search", *COMMON, "bm25"), ("runs/run.tiny-test.bm25.trec",)),
    "search splade": Stage(
        ("repro.search", *COMMON, "splade-tiny"), ("runs/run.tiny-test.splade-tiny.trec",)
    ),
    "search dense": Stage(
        ("repro.search", *COMMON, "all-minilm-l6-v2"), ("runs/run.tiny-test.all-minilm-l6-v2.trec",)
    ),
    "table": Stage(
        ("repro.table", "--no-report", *COMMON[:2], "--systems", "bm25,splade-tiny,all-minilm-l6-v2"),
        ("tables/tiny-test",),
    ),
}


def copied(folder: Path, copy: Path) -> Path:
    """Copy a folder with its collections, which keep their labels in the copy's --work; return the copy."""
    shutil.copytree(folder, copy, symlinks=True)
    for source in copy.glob("work/collections/*/*.json"):
        source.write_text(source.read_text().replace(f'"{folder.resolve()}', f'"{copy.resolve()}'))
    return copy


def all_made(temporary: pytest.TempPathFactory) -> Path:
    """Return the folder of a collection on which every stage ran, one after the other.

    It is made once for all processes of the tests, and no test changes it. ``tiny`` is a link: in a copy of
    the folder it is the same collection, under the same label.
    """

    def run_all(folder: Path) -> None:
        (folder / "tiny").symlink_to(write_beir(folder / "source" / "tiny"))
        for stage in STAGES.values():
            stage.finish(folder)

    return made_once(temporary, "all-made", run_all)


def differences(stage: Stage, folder: Path, expected: Path) -> list[str]:
    """Return in what the stage's work in ``folder`` differs from that in ``expected``: a sentence each."""
    from repro.lucene.indexing import compare_indexes

    found, undisturbed = stage.contents(folder), stage.contents(expected)
    names = found.keys() | undisturbed.keys()
    sentences = [f"{name} differs" for name in sorted(names) if found.get(name) != undisturbed.get(name)]
    for index in stage.lucene_indexes(folder):
        postings, differing = compare_indexes(index, expected / index.relative_to(folder))
        sentences += differing if postings else [f"{index} is empty"]
    return sentences
