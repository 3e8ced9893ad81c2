"""The options of ``repro.export``: of an index, of vectors, of the conditions of a table."""

from dataclasses import dataclass, field

from repro.base.errors import InputError
from repro.cli.parsing import option, positive

FORMATS = ("seismic", "opensearch", "qdrant", "numpy", "anserini")
PARTS = ("documents", "queries")
FITS = ("clamp", "rescale")
LARGEST_BITS = 31


def bits(text: str) -> int:
    """Parse the bits of an impact."""
    value: int = positive("bits")(text)
    if value > LARGEST_BITS:
        raise InputError(f"--bits {text}: an impact in an index has {LARGEST_BITS} at most")
    return value


@dataclass(frozen=True)
class CiffOptions:
    """How large an impact may be in the file."""

    bits: int | None = option(
        None,
        "bits of an impact, for engines that hold fewer: 8 for a byte (default: 31)",
        type=bits,
        metavar="N",
    )
    fit: str = option(
        "clamp",
        "what happens to impacts that --bits cannot hold: clamp (the largest number that fits), or rescale "
        "(all are scaled down, none below 1) (default: clamp)",
        choices=FITS,
    )
    verify: bool = option(
        False, "read the file back with the protobuf package, and compare every posting with the index's"
    )


@dataclass(frozen=True)
class VectorsOptions:
    """Which vectors are exported, and for what."""

    format: str = field(
        metadata={
            "help": "seismic (JSON lines), opensearch (bulk requests), qdrant (requests of points), numpy "
            "(arrays), or anserini (dense vectors in JSON; impact vectors are in its form as they lie)",
            "choices": FORMATS,
        }
    )
    part: str = option("documents", "documents or queries (default: documents)", choices=PARTS)


@dataclass(frozen=True)
class ConditionsOptions:
    """Which rows are exported."""

    systems: str | None = option(
        None,
        "systems of the table, splade:<model>, dense:<model>, splade-doc:<model> (default: the table's, and "
        "what repro.train made of this collection)",
        metavar="A,B,C",
    )
