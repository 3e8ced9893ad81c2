"""The options of work on several machines, each a share of the documents."""

from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError
from repro.cli.parsing import number, option


@dataclass(frozen=True)
class Share:
    """What one of ``of`` machines makes, ``number`` from 1."""

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
    """Encoding, indexing, or scoring by a teacher, on several machines."""

    shard: Share | None = option(
        None,
        "make only the I-th of N shares, here, and the others elsewhere; then --merge",
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

    @property
    def given(self) -> bool:
        """Whether one of them is given."""
        return self.shard is not None or self.merge is not None

    def check(self) -> None:
        """Raise InputError if both are given."""
        if self.shard and self.merge is not None:
            raise InputError("--shard makes a share, --merge puts shares together: expected one of them")


@dataclass(frozen=True)
class ClusterOptions:
    """What runs the shares, if it is not the user."""

    engine: str = option(
        "local",
        "work here (local, the default), or share by share on the machines of a Ray cluster (ray)",
        choices=("local", "ray"),
    )
    ray_address: str | None = option(
        None, "of the Ray cluster (default: $RAY_ADDRESS, else this machine alone)", metavar="A"
    )
    gpus: float = option(
        0.0, "GPUs for each share on Ray (default: 0)", type=number("gpus", 0, 1024), metavar="N"
    )

    @property
    def on_ray(self) -> bool:
        """Whether a Ray cluster works."""
        return self.engine == "ray"

    def check(self, shares: ShareOptions) -> None:
        """Raise InputError for options that do not go together."""
        if shares.given and self.on_ray:
            raise InputError("--engine ray shares the work out itself; leave --shard and --merge out")
        if not self.on_ray and (self.ray_address or self.gpus):
            raise InputError(
                "--ray-address and --gpus are of --engine ray; give that, too, or leave them out"
            )
