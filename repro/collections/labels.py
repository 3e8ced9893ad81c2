"""Names of collections that are fit for files and stand for one source each in a ``--work``.

A source gets the name of its folder, or its id, unless another source has it already; then the first digits
of a hash follow. ``<work>/collections/<label>/source.json`` keeps whose it is. A folder that is gone frees
its label, so that a collection can be moved. A corpus that several folders share, by links, has the label of
the folder where it lies (``opening``).
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from repro.base.files import canonical, file_name, read_json, write_json
from repro.base.locks import locked

Owner = dict[str, str]
"""What a label stands for: a ``folder`` (its real path) or an ``ir_datasets`` id, and a ``split`` of it."""
SAMPLE = "sample"
"""The embedded sample's own label, in every ``--work``."""
LONGEST = 100
"""Bytes: file names have 255 at most, and contain a system's name, too."""


def label(name: str, owner: Owner, work: Path | None, claim: bool = True) -> str:
    """Return the label in ``work`` of ``owner``, whose name is ``name``; with ``claim``, it is kept.

    Without ``work``, it is just the name made fit for files.
    """
    plain = file_name(name).encode()[:LONGEST].decode(errors="ignore") or "collection"
    if work is None:
        return plain
    folder = work / "collections"
    chosen = _choose(folder, plain, owner)
    if not claim or _owner(folder, chosen) == owner:
        return chosen
    with locked(work / "collections.lock"):
        chosen = _choose(folder, plain, owner)
        (folder / chosen).mkdir(parents=True, exist_ok=True)
        write_json(folder / chosen / "source.json", owner)
    return chosen


def _choose(folder: Path, plain: str, owner: Owner) -> str:
    """Return the label that is the owner's, else the first that is free."""
    labels = list(_candidates(plain, owner))
    owners = [_owner(folder, candidate) for candidate in labels]
    return labels[owners.index(owner) if owner in owners else owners.index(None)]


def _candidates(plain: str, owner: Owner) -> Iterator[str]:
    digest = hashlib.sha256(canonical(owner).encode()).hexdigest()
    yield from (plain, *(f"{plain}-{digest[:digits]}" for digits in range(6, len(digest) + 1)))


def _owner(folder: Path, candidate: str) -> Owner | None:
    """Return whose a label is; None if it is free."""
    if candidate == SAMPLE:
        return {"sample": SAMPLE}
    owner = read_json(folder / candidate / "source.json")
    if owner is None or ("folder" in owner and not Path(str(owner["folder"])).is_dir()):
        return None
    return owner
