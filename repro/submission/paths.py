"""What ``check`` is given: run files, and folders of submissions to MS MARCO's leaderboard."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.submission_options import ProfileOptions, TopicsOptions
from repro.submission.checking import check_run
from repro.submission.leaderboard import check_submission
from repro.submission.profiles import MSMARCO, find_profile
from repro.submission.topics import topics_of


def check_paths(
    paths: Sequence[Path], profile: ProfileOptions, options: TopicsOptions
) -> Iterator[tuple[list[str], int]]:
    """Check one after the other; yield what was found in words, and the number of faults.

    InputError for a folder, or an option of the leaderboard, under another profile than ``msmarco``, and as
    ``check_run`` raises it.
    """
    if options.eval_collection and profile.profile != MSMARCO.name:
        raise InputError(f"--eval-collection: only for --profile {MSMARCO.name}")
    topics = topics_of(options.collection, options)
    for path in paths:
        if not path.is_dir():
            report = check_run(path, find_profile(profile.profile), topics, profile.hits)
            yield report.sentences(), report.faults.total
            continue
        if profile.profile != MSMARCO.name:
            raise InputError(f"{path} is a folder; only --profile msmarco checks one, a submission's")
        faults, reports = check_submission(
            path, topics, topics_of(options.eval_collection, options), profile.hits
        )
        sentences = [sentence for report in reports for sentence in report.sentences()]
        of_folder = f"FAULTY: {path}: {faults.summary()}" if faults.total else f"OK: {path} has all its files"
        total = faults.total + sum(report.faults.total for report in reports)
        yield [*sentences, *faults.sentences(str(path)), of_folder], total
