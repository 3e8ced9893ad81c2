"""Check a run as its venue checks it, pack it for handing in, convert it to another form.

    python -m repro.submit check runs/run.sample.bm25.trec --collection sample
    python -m repro.submit package runs/run.sample.bm25.trec --collection sample --team my-group
    python -m repro.submit convert runs/run.sample.bm25.trec run.json

check     reads runs line by line and prints the first faults with their lines, and how many there are; of a
          submission's folder (MS MARCO's leaderboard), its two runs and the metadata beside it
package   the run, its manifest and its ir_metadata (https://www.ir-metadata.org), if the run has no fault;
          with --profile msmarco, what the leaderboard takes
convert   between TREC's, MS MARCO's (qid, pid, rank) and ranx's form (JSON); from TREC's to TREC's makes a
          foreign run strict: ranks from 1, no equal scores

Exit code 1: a run has faults. 2: a wrong option, or a file that cannot be read.
"""

import argparse
import sys
from pathlib import Path

from repro.cli.guard import guarded
from repro.cli.parsing import add_options, read_options
from repro.cli.submission_options import (
    ConversionOptions,
    LeaderboardOptions,
    PackageOptions,
    ProfileOptions,
    TopicsOptions,
)
from repro.submission.converting import convert
from repro.submission.packaging import package
from repro.submission.paths import check_paths


def main(argv: list[str] | None = None) -> int:
    """Parse, check or pack or convert, tell what was found or where it lies; 1 if a run has faults."""
    parsed = _parser().parse_args(argv)
    if parsed.action == "convert":
        print(convert(parsed.run, parsed.output, read_options(ConversionOptions, parsed)))
        return 0
    profile, topics = read_options(ProfileOptions, parsed), read_options(TopicsOptions, parsed)
    if parsed.action == "check":
        faulty = False
        for sentences, faults in check_paths(parsed.run, profile, topics):
            print("\n".join(sentences))
            faulty |= faults > 0
        return int(faulty)
    packed = package(
        parsed.run,
        profile,
        topics,
        read_options(PackageOptions, parsed),
        read_options(LeaderboardOptions, parsed),
    )
    for report in packed.reports:
        print("\n".join(report.sentences()), file=sys.stderr)
    if packed.path is None:
        return 1
    print(packed.path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m repro.submit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="find the faults of runs")
    check.add_argument("run", type=Path, nargs="+", help="runs, compressed or not, or a submission's folder")
    add_options(check, ProfileOptions, TopicsOptions)
    pack = actions.add_parser("package", help="pack a run for handing in")
    pack.add_argument("run", type=Path, help="the run; for --profile msmarco, that on the dev queries")
    add_options(pack, ProfileOptions, TopicsOptions, PackageOptions, LeaderboardOptions)
    conversion = actions.add_parser("convert", help="write a run in another form")
    conversion.add_argument("run", type=Path, help="a run of any of the forms, compressed or not")
    conversion.add_argument(
        "output", type=Path, help="where it goes: .trec, .tsv (MS MARCO), .json (ranx), also .gz and .bz2"
    )
    add_options(conversion, ConversionOptions)
    return parser


if __name__ == "__main__":
    sys.exit(guarded(main))
