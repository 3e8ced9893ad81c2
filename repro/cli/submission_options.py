"""The options of handing a run in: what it is checked against, what describes it, what it is converted to."""

from dataclasses import dataclass
from pathlib import Path

from repro.cli.parsing import option, positive, tag


@dataclass(frozen=True)
class TopicsOptions:
    """The collection whose topics a run must answer."""

    collection: str | None = option(
        None,
        "whose topics the run must answer: 'sample', an ir_datasets id, or a folder (default: not compared)",
        metavar="C",
    )
    split: str | None = option(None, "which qrels/<split>.tsv of a folder (default: test)", metavar="S")
    all_queries: bool = option(False, "every query must be answered, not only the judged ones")
    eval_collection: str | None = option(
        None, "the same as --collection for the eval run of MS MARCO's leaderboard", metavar="C"
    )


@dataclass(frozen=True)
class ProfileOptions:
    """The demands that a run is held to."""

    profile: str = option(
        "generic",
        "whose demands: dl, rag (TREC), msmarco (its leaderboard), generic (any TREC run; default)",
        choices=("generic", "dl", "rag", "msmarco"),
    )
    hits: int | None = option(
        None,
        "at most so many documents a topic (default: the profile's; generic has no limit)",
        type=positive("hits"),
        metavar="K",
    )


@dataclass(frozen=True)
class PackageOptions:
    """What a package holds and where it goes."""

    output: Path = option(Path("submissions"), "where it goes (default: ./submissions)", type=Path)
    metadata: str = option(
        "sidecar",
        "ir_metadata as a file beside the run, or as a commented header in it (default: sidecar)",
        choices=("sidecar", "header"),
    )
    details: Path | None = option(
        None,
        "a YAML file of what nothing here knows of ir_metadata: actor, research goal ...",
        type=Path,
        metavar="FILE",
    )
    work: Path = option(Path("work"), "where the run's index and vectors lie (default: ./work)", type=Path)
    team: str | None = option(None, "who hands it in")
    force: bool = option(False, "replace a package of the same name")


@dataclass(frozen=True)
class LeaderboardOptions:
    """What MS MARCO's leaderboard wants besides the run on its dev queries."""

    id: str | None = option(None, "yyyymmdd-name, by which the leaderboard calls it", metavar="ID")
    eval: Path | None = option(None, "the run on its eval queries", type=Path, metavar="RUN")
    description: str | None = option(None, "the model, in a few words")
    paper: str = option("", "address of a paper (default: none)", metavar="URL")
    code: str = option("", "address of the code (default: none)", metavar="URL")
    type: str = option(
        "full ranking", "full ranking (default) or reranking", choices=("full ranking", "reranking")
    )


@dataclass(frozen=True)
class ConversionOptions:
    """From which form to which a run is converted."""

    to: str | None = option(
        None,
        "trec, msmarco or json (ranx's) (default: by the output's name: .trec, .tsv, .json)",
        choices=("trec", "msmarco", "json"),
    )
    tag: str | None = option(None, "last column of a TREC run (default: that of the input)", type=tag)
    by_rank: bool = option(
        False, "order a TREC run by its rank column instead of its scores, as MS MARCO's script does"
    )
