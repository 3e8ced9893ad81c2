"""A run packed for handing in, once it has no fault: the run, its manifest, its ir_metadata.

TREC (and any other run):     MS MARCO's leaderboard:

    <output>/<tag>/               <output>/<yyyymmdd-name>/dev.txt.bz2, eval.txt.bz2
      <tag>                       <output>/<yyyymmdd-name>-metadata.json
      <tag>.manifest.json         <output>/<yyyymmdd-name>-{dev,eval}.manifest.json
      <tag>.ir_metadata.yml       <output>/<yyyymmdd-name>-{dev,eval}.ir_metadata.yml

NIST wants a run's file named by its tag. All is made in a folder of its own and put in place when whole, the
folder with the runs last.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import file_name, flush, remove, write_json, write_text
from repro.base.progress import note
from repro.cli.options import MeasureOptions
from repro.cli.parsing import arguments
from repro.cli.submission_options import LeaderboardOptions, PackageOptions, ProfileOptions, TopicsOptions
from repro.collections.opening import open_collection
from repro.evaluation.standards import measures_of
from repro.submission.checking import check_run
from repro.submission.converting import results_of, write_msmarco
from repro.submission.describing import describe
from repro.submission.files import form_of, plain, written
from repro.submission.leaderboard import check_id, metadata
from repro.submission.lineage import Lineage, manifest_path, read_lineage
from repro.submission.metadata import as_header, as_yaml, read_details
from repro.submission.profiles import GENERIC, MSMARCO, find_profile
from repro.submission.reports import Report
from repro.submission.topics import topics_of

TO_CONVERT = replace(
    MSMARCO, columns=GENERIC.columns, tag=GENERIC.tag, tag_form=GENERIC.tag_form, header=GENERIC.header
)
"""The leaderboard's demands of a TREC run that becomes MS MARCO's three columns in the package."""


@dataclass(frozen=True)
class Packed:
    """Where a package lies, None if a run has faults, and what checking its runs has found."""

    path: Path | None
    reports: list[Report]


def package(
    run: Path,
    profile: ProfileOptions,
    topics: TopicsOptions,
    options: PackageOptions,
    leaderboard: LeaderboardOptions,
) -> Packed:
    """Check a run and pack it; InputError for options that do not fit, or a package that is there."""
    demands, header = find_profile(profile.profile), options.metadata == "header"
    if header and not demands.header:
        raise InputError(
            f"--metadata header: {demands.name} takes no comments; leave it out, for a file beside the run"
        )
    if demands is MSMARCO:
        return _package_leaderboard(run, profile, topics, options, leaderboard)
    # each of these options has a value: flags and values take turns
    if unused := arguments(leaderboard, TopicsOptions(eval_collection=topics.eval_collection))[::2]:
        raise InputError(f"{', '.join(unused)}: only for --profile msmarco")
    details = read_details(options.details)
    report = check_run(run, demands, topics_of(topics.collection, topics), profile.hits)
    if report.faults.total or report.tag is None:
        return Packed(None, [report])
    described = _described(run, report.tag, topics.collection, topics, options, details)
    name = file_name(report.tag).strip(".-") or "run"  # any word is a tag: '..', too
    with _placed(options, name, whole=name) as partial:
        folder = partial / name
        folder.mkdir()
        with plain(run) as lines, open(lines, "rb") as source, written(folder / name) as target:
            if header:
                target.write(as_header(described))
            shutil.copyfileobj(source, target)
        _write_beside(folder / name, run, None if header else described)
    return Packed(options.output / name, [report])


def _package_leaderboard(
    dev: Path,
    profile: ProfileOptions,
    topics: TopicsOptions,
    options: PackageOptions,
    leaderboard: LeaderboardOptions,
) -> Packed:
    """Do as ``package`` for the two runs of MS MARCO's leaderboard."""
    if leaderboard.id is None or leaderboard.eval is None:
        raise InputError("--profile msmarco: name --id yyyymmdd-name and --eval, the run on the eval queries")
    name, shown = check_id(leaderboard.id), metadata(options.team, leaderboard)
    details = read_details(options.details)
    parts = [("dev", dev, topics.collection), ("eval", leaderboard.eval, topics.eval_collection)]
    forms = [form_of(run) for _, run, _ in parts]
    reports = [
        check_run(
            run, MSMARCO if form == "msmarco" else TO_CONVERT, topics_of(collection, topics), profile.hits
        )
        for form, (_, run, collection) in zip(forms, parts)
    ]
    if any(report.faults.total for report in reports):
        return Packed(None, reports)
    with _placed(options, name, whole="dev.txt.bz2") as partial:
        (partial / name).mkdir()
        for form, report, (part, run, collection) in zip(forms, reports, parts):
            with results_of(run, form) as results, written(partial / name / f"{part}.txt.bz2") as target:
                write_msmarco(target, results)
            described = _described(run, report.tag or name, collection, topics, options, details)
            _write_beside(partial / f"{name}-{part}", run, described)
        write_json(partial / f"{name}-metadata.json", shown)
    return Packed(options.output / name, reports)


@contextlib.contextmanager
def _placed(options: PackageOptions, name: str, whole: str) -> Iterator[Path]:
    """Give an empty folder; all in it is put into --output when the block ends, the entry ``name`` last.

    ``whole`` is a file of every package of that name. InputError if there is one and it may not be replaced.
    """
    output, target = options.output, options.output / name
    if target.exists() and not options.force:
        raise InputError(f"{target}: it exists; replace it with --force, or name another --output")
    if target.exists() and not (target / whole).is_file():
        raise InputError(f"{target}: it is no package made here, and stays; name another --output")
    partial = output / f".{name}.partial-{os.getpid()}"
    partial.mkdir(parents=True)
    try:
        yield partial
        flush(partial)
        remove(target)
        for entry in sorted(partial.iterdir(), key=lambda entry: entry.name == name):
            os.replace(entry, output / entry.name)
        flush(output, below=False)
    finally:
        remove(partial)


def _described(
    run: Path,
    tag: str,
    collection: str | None,
    topics: TopicsOptions,
    options: PackageOptions,
    details: dict[str, Any],
) -> dict[str, Any]:
    """Return a run's ir_metadata; a note tells what nothing here knows."""
    lineage = read_lineage(run, options.work)
    if lineage is None:
        note(f"{run}: no manifest beside it; ir_metadata holds what the options and --details say")
    about, measures = _test_collection(collection, topics, lineage)
    described = describe(tag, lineage, about, measures, options.team, details)
    if empty := [name for name in ("actor", "research goal") if not described[name]]:
        note(f"{run}: left empty in ir_metadata: {', '.join(empty)}; a file for --details can state them")
    return described


def _test_collection(
    name: str | None, topics: TopicsOptions, lineage: Lineage | None
) -> tuple[dict[str, str], list[str]]:
    """Return the test collection in ir_metadata's keys, and the measures that are stated for it."""
    if name is None:
        return {"name": lineage.collection} if lineage and lineage.collection else {}, []
    collection = open_collection(name, topics.split, claim=False)
    about = {"name": collection.name}
    if name != "sample" and not Path(name).is_dir():
        about["ir_datasets"] = name
    return about, [str(measure) for measure in measures_of(collection.official_measures(), MeasureOptions())]


def _write_beside(path: Path, run: Path, described: dict[str, Any] | None) -> None:
    """Write a run's manifest, if it has one, and its ir_metadata beside ``path``, under its name."""
    if manifest_path(run).is_file():
        shutil.copyfile(manifest_path(run), manifest_path(path))
    if described is not None:
        write_text(path.with_name(f"{path.name}.ir_metadata.yml"), as_yaml(described))
