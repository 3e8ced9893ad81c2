"""Share out what one machine would make: each makes a share, one puts all shares together.

A share lies beside where the whole would, and has what the whole depends on among its inputs, so that shares
of other texts, weights or options are told apart. No machine needs another, or an engine that starts them:
an array of jobs will do.
"""

import contextlib
import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro.artifacts.store import Artifact, differing
from repro.base.errors import InputError
from repro.base.files import remove
from repro.cli.options import WorkOptions
from repro.cli.share_options import Share


@dataclass(frozen=True)
class Found:
    """A whole share that a machine has left, and what its manifest says."""

    share: Share
    artifact: Artifact
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Sharing:
    """How an artifact below ``work`` is shared out: ``command`` makes a share of it, or has ``made`` it.

    A share depends on ``inputs``, too; ``facts`` are what its manifest must tell. ``size_option`` names the
    option that decides where one share ends and the next begins, if one does.
    """

    whole: Artifact
    work: Path
    command: str
    made: str
    facts: tuple[str, ...]
    inputs: dict[str, Any] = field(default_factory=dict)
    size_option: str = ""

    def share(self, share: Share, size: int, whole: Path | None = None) -> Artifact:
        """Return a share of shards of ``size`` documents, beside ``whole`` if that is another machine's."""
        path = whole or self.whole.path
        inputs = self.whole.inputs | self.inputs
        inputs |= {"share": {"number": share.number, "of": share.of, "size": size}}
        return Artifact(
            path.with_name(f"{path.name}.shard-{share.number}-of-{share.of}"),
            inputs,
            facts=self.facts,
            unreadable=self.whole.unreadable,
        )

    def shares(self, whole: Path) -> Iterator[Found]:
        """Yield the shares beside where a whole would lie; InputError if one is of other settings."""
        for path in sorted(whole.parent.glob(f"{glob.escape(whole.name)}.shard-*-of-*")):
            named = re.fullmatch(r"\.shard-(\d+)-of-(\d+)", path.name.removeprefix(whole.name))
            manifest = Artifact(path, {}, facts=self.facts).manifest()
            if not named or manifest is None:  # a lock, a manifest, or what is being made
                continue
            share = Share(*map(int, named.groups()))
            artifact = self.share(share, manifest["inputs"].get("share", {}).get("size"), whole)
            if names := ", ".join(differing(manifest["inputs"], artifact.inputs)):
                raise InputError(
                    f"{path} was {self.made} with other settings ({names}); remove it, or make it anew with "
                    f"python -m {self.command} --shard {share} --force"
                )
            yield Found(share, artifact, manifest)

    def complete(self, others: Sequence[Path]) -> list[Found]:
        """Return the shares that make a whole, in their order, from ``work`` or from ``others`` (as --work).

        InputError, which says which, if some are missing or are of other settings.
        """
        for folder in others:
            if not folder.is_dir():
                raise InputError(
                    f"--merge {folder}: no such folder; expected what was --work on another machine"
                )
        below = self.whole.path.relative_to(self.work)
        places = [folder / below for folder in dict.fromkeys([self.work, *others])]
        sets: dict[tuple[int, int], dict[int, Found]] = {}
        for place in places:
            for found in self.shares(place):
                kind = found.share.of, found.manifest["inputs"]["share"]["size"]
                sets.setdefault(kind, {}).setdefault(found.share.number, found)
        for (count, _), found_of in sets.items():
            if len(found_of) == count:
                return [found_of[number] for number in range(1, count + 1)]
        if not sets:
            raise InputError(
                f"there is no share of {self.whole.path}, or under {below} of what --merge names; make them "
                f"with python -m {self.command} --shard 1/N to --shard N/N (same options)"
            )
        (count, size), found_of = max(sets.items(), key=lambda each: len(each[1]) / each[0][0])
        missing = [str(Share(n, count)) for n in range(1, count + 1) if n not in found_of]
        sized = f" {self.size_option} {size}" if self.size_option else ""
        raise InputError(
            f"{self.whole.path}: {len(missing)} of {count} shares are missing ({', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}); make them with python -m {self.command} --shard "
            f"{missing[0]}{sized} (same options)"
        )


def merge(
    of: Sharing,
    work: WorkOptions,
    others: Sequence[Path],
    needed: Callable[[], bool],
    put_together: Callable[[list[Found]], None],
) -> Artifact:
    """Have ``put_together`` make the whole of its shares if it is ``needed``; return it.

    Nobody replaces a share meanwhile. Of what was merged, ``work`` keeps none; others' stay as they are.
    """
    with contextlib.ExitStack() as locks:
        if not needed():
            return of.whole
        found = of.complete(others)
        for each in found:
            locks.enter_context(each.artifact.reading(work.wait))
            if not each.artifact.is_current():
                reason = each.artifact.why_unreadable() or "was replaced meanwhile"
                raise InputError(f"{each.artifact.path} {reason}; run it again")
        locks.enter_context(of.whole.making(work.wait))
        if not needed():  # another process has merged them
            return of.whole
        put_together(found)
    for each in found:
        if each.artifact.path.parent == of.whole.path.parent:
            with each.artifact.making(work.wait):
                remove(each.artifact.manifest_path)
                remove(each.artifact.path)
    return of.whole


def shards_of(share: Share, documents: int, size: int, name: str, cure: str) -> range:
    """Return the numbers of a share's shards of ``size`` documents; shares differ by one at most.

    InputError, with ``cure``, if a collection of that ``name`` makes fewer shards than there are shares.
    """
    shards = -(-documents // size)
    if shards < share.of:
        raise InputError(
            f"--shard {share}: the {documents:,} documents of {name} make {shards:,} shards of {size:,}; "
            f"expected as many as there are shares, or more: {cure}"
        )
    return range(*(number * shards // share.of for number in (share.number - 1, share.number)))
