"""kill -9 at random moments of a stage: what it makes in the end, beside what it makes undisturbed."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import read_json, remove, sha256_file
from repro.base.progress import bar, note
from repro.cli.stages import Stage
from repro.report.markdown import table

SHOWN = 500
"""Letters of the end of what a stage that failed has told."""


@dataclass(frozen=True)
class Killed:
    """What was found of a stage on ``documents``.

    ``compared``: how often it came to an end after a kill, or several, and was compared. ``seconds`` are
    undisturbed, ``with_kills`` those of all other processes. ``differing``: a sentence for each difference.
    """

    stage: str
    documents: int
    kills: int
    compared: int
    seconds: float
    with_kills: float
    differing: list[str]


@dataclass(frozen=True)
class Step:
    """A stage under a name, the files or folders that it makes, and of how many documents."""

    name: str
    stage: Stage
    made: tuple[Path, ...]
    documents: int

    def run(self, seconds: float | None = None) -> bool:
        """Run it for so many seconds at most, then kill -9 it and all that it started; tell whether it came
        to its end before.

        InputError with the last that it told if it fails.
        """
        with subprocess.Popen(
            self.stage.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            try:
                _, told = process.communicate(timeout=seconds)
            except BaseException as error:  # an interruption, too, must not leave it at work
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                _, told = process.communicate()  # once all that it started is dead, too
                if process.returncode == -signal.SIGKILL:
                    return False
        if process.returncode:
            last = told.decode(errors="replace")[-SHOWN:].strip()
            raise InputError(f"{self.stage} ended with exit code {process.returncode}: {last}")
        return True

    def undo(self) -> None:
        """Remove what it made, and what lies beside that under its name."""
        for path in self.made:
            for left in beside(path):
                remove(left)


@dataclass(frozen=True)
class Undisturbed:
    """What a stage made at ``path``, now at ``kept``; the names that lay beside it, and its manifest."""

    path: Path
    kept: Path
    names: frozenset[str]
    manifest: dict[str, Any]

    def differences(self) -> list[str]:
        """Return in what that which lies at ``path`` by now differs, and what lies beside it: a sentence
        each.
        """
        names = frozenset(path.name for path in beside(self.path))
        found = [f"{self.path.with_name(name)} was left over" for name in sorted(names - self.names)]
        found += [f"{self.path.with_name(name)} is missing" for name in sorted(self.names - names)]
        if self.manifest != manifest_of(self.path):
            found.append(f"the manifest of {self.path} differs")
        return found + different(self.path, self.kept)


def beside(path: Path) -> list[Path]:
    """Return what has a path's name, or one that begins with it and a dot: manifests, locks, partial ones."""
    if not path.parent.is_dir():
        return []
    names = sorted(os.listdir(path.parent))
    return [path.with_name(name) for name in names if name == path.name or name.startswith(f"{path.name}.")]


def manifest_of(path: Path) -> dict[str, Any]:
    """Return what a manifest says of an artifact's inputs and contents, empty if there is none."""
    manifest = read_json(path.with_name(f"{path.name}.manifest.json")) or {}
    return {name: manifest[name] for name in ("inputs", "counts", "sha256") if name in manifest}


def kill(step: Step, kills: int, folder: Path) -> Killed:
    """Run a step undisturbed, then killed so often, then to its end; return what differs.

    Each moment is drawn from 0 to the seconds of the shortest process so far that began with nothing, and the
    next process goes on from what the killed one left. One that ends before its moment is no kill: what it
    made is compared as in the end, then removed. ``folder`` takes what was made undisturbed.
    """
    step.undo()
    started = time.perf_counter()
    step.run()
    seconds = time.perf_counter() - started
    remove(folder)
    whole = [_keep(path, folder / str(place)) for place, path in enumerate(step.made)]
    step.undo()
    rng, killed, compared, found = random.Random(f"{step.name} {kills}"), 0, 0, dict[str, None]()
    longest, begun, total = seconds, False, 0.0
    with bar(kills, f"killing {step.name}", "kills") as progress:
        while True:
            going_on, started = killed < kills, time.perf_counter()
            ended = step.run(rng.uniform(0, longest) if going_on else None)
            took = time.perf_counter() - started
            total += took
            if not ended:
                killed, begun = killed + 1, True
                progress.update()
                continue
            compared += 1
            found |= dict.fromkeys(sentence for one in whole for sentence in one.differences())
            if not going_on:
                break
            longest, begun = longest if begun else min(longest, took), False
            step.undo()
    told = "; ".join(found) or "the same bytes"
    note(f"{step.name}: {kills} kills, {seconds:.1f} s undisturbed, {total:.1f} s in all others: {told}")
    return Killed(
        step.name, step.documents, killed, compared, round(seconds, 1), round(total, 1), list(found)
    )


def _keep(path: Path, folder: Path) -> Undisturbed:
    """Move what a stage made into ``folder``."""
    if not path.exists():
        raise InputError(f"{path} was not made; expected it of the stage that was run")
    names, manifest = frozenset(other.name for other in beside(path)), manifest_of(path)
    folder.mkdir(parents=True)
    return Undisturbed(path, path.rename(folder / path.name), names, manifest)


def different(found: Path, whole: Path) -> list[str]:
    """Return in what a file or folder differs from another: a sentence each.

    Lucene names segments at random, so its indexes are compared posting for posting; of a table in JSON, when
    and by what it was made is left out; of all else, bytes are compared.
    """
    if not found.exists():
        return [f"{found} is missing"]
    if any(whole.glob("segments_*")):
        from repro.lucene.indexing import compare_indexes

        postings, sentences = compare_indexes(found, whole)
        return sentences if postings else [f"{found} is empty"]
    one, other = _contents(found), _contents(whole)
    return [
        f"{found / name} differs"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def _contents(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    return {str(file.relative_to(path)): _content(file) for file in files}


def _content(file: Path) -> str:
    record = read_json(file) if file.suffix == ".json" else None
    if record is None or "made" not in record:
        return sha256_file(file)
    return json.dumps({name: value for name, value in record.items() if name != "made"})


def kill_those(steps: Sequence[Step], takes: Callable[[str], bool], kills: int, folder: Path) -> list[Killed]:
    """Kill the steps that ``takes`` names, in their order; run those before them that they need."""
    last = max(place for place, step in enumerate(steps) if takes(step.name))
    found = []
    for step in steps[: last + 1]:
        if takes(step.name):
            found.append(kill(step, kills, folder / step.name))
        else:
            step.run()
    return found


def killed_table(found: Sequence[Killed]) -> str:
    """Render what was found: a line for each stage."""
    header = ["stage", "result", "documents", "kills", "ends compared", "undisturbed s", "s of all others"]
    lines = [
        [
            one.stage,
            f"**{len(one.differing)} differences**" if one.differing else "the same bytes",
            f"{one.documents:,}",
            str(one.kills),
            str(one.compared),
            f"{one.seconds:.1f}",
            f"{one.with_kills:.1f}",
        ]
        for one in found
    ]
    return table(header, lines)
