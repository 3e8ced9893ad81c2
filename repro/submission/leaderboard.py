"""Submissions to MS MARCO's leaderboard: a folder of two runs, and metadata beside it.

    <yyyymmdd-name>/dev.txt.bz2, eval.txt.bz2     <yyyymmdd-name>-metadata.json

As README and run_eval.py of https://github.com/microsoft/MSMARCO-Passage-Ranking-Submissions have them.
"""

import datetime
import re
from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import read_json
from repro.cli.submission_options import LeaderboardOptions
from repro.submission.checking import check_run
from repro.submission.faults import END, Faults
from repro.submission.files import BZIP2
from repro.submission.profiles import MSMARCO
from repro.submission.reports import Report
from repro.submission.topics import Topics

RUNS = ("dev.txt.bz2", "eval.txt.bz2")
SUBMISSION_ID = re.compile(r"(\d{8})-[A-Za-z0-9_-]+")
KEYS = ("team", "model_description", "paper", "code", "type")
TYPES = ("full ranking", "reranking")


def check_id(name: str) -> str:
    """Return a submission's id; InputError unless it is a date and a name."""
    match = SUBMISSION_ID.fullmatch(name)
    try:
        datetime.datetime.strptime(match[1] if match else "", "%Y%m%d")
    except ValueError:
        raise InputError(
            f"--id {name}: expected yyyymmdd-name, the day of the submission and letters, digits, '-', '_'"
        ) from None
    return name


def metadata(team: str | None, options: LeaderboardOptions) -> dict[str, str]:
    """Return the metadata that the leaderboard shows; InputError if team or description are missing."""
    for flag, value in (("--team", team), ("--description", options.description)):
        if not value:
            raise InputError(f"{flag}: MS MARCO's leaderboard shows it; name it")
    values = (team, options.description, options.paper, options.code, options.type)
    return {key: str(value) for key, value in zip(KEYS, values)}


def check_submission(
    folder: Path, dev: Topics | None, evaluation: Topics | None, depth: int | None = None
) -> tuple[Faults, list[Report]]:
    """Check a submission's folder with the metadata beside it; return its own faults, and a report a run.

    InputError if there is no such folder, or a run in it that cannot be read.
    """
    faults, reports = Faults(), []
    whole = folder.absolute()
    try:
        check_id(whole.name)
    except InputError as error:
        faults.add("id", END, f"the folder's name: {str(error).partition(': ')[2]}")
    for name, topics in zip(RUNS, (dev, evaluation)):
        run = folder / name
        if not run.is_file():
            faults.add("file", END, f"{name} is missing")
            continue
        if not _is_bzip2(run):
            faults.add("file", END, f"{name} is not compressed by bzip2")
        reports.append(check_run(run, MSMARCO, topics, depth))
    _check_metadata(whole.with_name(f"{whole.name}-metadata.json"), faults)
    return faults, reports


def _is_bzip2(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(BZIP2)) == BZIP2


def _check_metadata(path: Path, faults: Faults) -> None:
    shown = read_json(path)
    if shown is None:
        faults.add("metadata", END, f"{path.name} beside the folder is missing, or no JSON object")
        return
    for key in KEYS:
        if not isinstance(shown.get(key), str):
            faults.add("metadata", END, f"{path.name}: expected a string in {key!r}")
    if isinstance(shown.get("type"), str) and shown["type"] not in TYPES:
        faults.add("metadata", END, f"{path.name}: type {shown['type']!r}; expected {' or '.join(TYPES)}")
