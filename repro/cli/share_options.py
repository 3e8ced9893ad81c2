"""The options of encoding on several machines, each a share of the documents."""

from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.parsing import option


@dataclass(frozen=True)
class Share:
    """What one of ``of`` machines encodes, ``number`` from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        """Return it as --shard takes it."""
        return f"{self.number}/{self.of}"


def read_share(text: str) -> Share:
    """Parse ``I/N``; InputError if it is none."""
    number, slash, of = text.partition("/")
    if slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return Share(int(number), int(of))
    raise InputError(f"--shard {text}: expected I/N, the I-th of N shares, as in 1/8 to 8/8")


@dataclass(frozen=True)
class ShareOptions:
    """Encoding on several machines."""

    shard: Share | None = option(
        None,
        "encode only the I-th of N shares of the documents, here, and the others elsewhere; then --merge",
        type=read_share,
        metavar="I/N",
    )
    merge: list[Path] | None = option(
        None,
        "put the shares together that lie in --work, and in other machines' (their --work)",
        type=Path,
        nargs="*",
        metavar="WORK",
    )
