"""Encode a collection on several machines: each a share of the shards, and then all shares put together.

What is merged of them has the bytes that one machine would write: share i of n is the i-th run of whole ones.
No machine needs another, or an engine that starts them: an array of jobs will do. Queries are few, and are
encoded as ever.
"""

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact, differing
from repro.base.energy import add
from repro.base.errors import InputError
from repro.base.files import remove
from repro.base.progress import note
from repro.cli.options import WorkOptions
from repro.cli.share_options import Share
from repro.pipeline.encoding import Finished, Portion, encoding_engine, facts, finish, write_shards
from repro.pipeline.linking import link_model

FACTS = ("shards", "seconds", "energy", "parameters", "threads")


@dataclass(frozen=True)
class Found:
    """A whole share that a machine has left, and what its manifest says."""

    share: Share
    artifact: Artifact
    manifest: dict[str, Any]


def encode_share(of: SystemArtifacts, work: WorkOptions, shard_size: int, share: Share) -> Artifact:
    """Make a share of the encoded documents, if it is missing or outdated; return it.

    The encoded documents themselves, if they are current. InputError if there are fewer shards than shares.
    """
    engine, weights = encoding_engine(of)
    if not work.force and of.documents.is_current():
        note(f"{of.documents.path} is whole: nothing is left to encode")
        return of.documents
    portion = _portion(of, shard_size, share)
    artifact = _artifact(of.documents.path, of, shard_size, share)
    if work.force or not artifact.is_current():
        with artifact.making(work.wait):
            if work.force or not artifact.is_current():
                writer = engine.open_encoder(of.system, weights, of.options, work.threads)
                folder, finished = write_shards(
                    writer, "documents", artifact, of, portion, resume=not work.force
                )
                told = facts("documents", of, finished, writer.parameters, work.threads)
                artifact.finish(folder, **told, shards=finished["shards"])
    link_model(of)
    return artifact


def merge_shares(of: SystemArtifacts, work: WorkOptions, others: Sequence[Path]) -> Artifact:
    """Make the encoded documents of the shares that lie in ``work``, or in ``others`` (as --work), too.

    InputError, which says which, if shares are missing or are of other settings. Files are linked where that
    is possible (dense vectors are copied: they are one file in the end); of what was merged, ``work`` keeps
    no share.
    """
    engine, _ = encoding_engine(of)
    with contextlib.ExitStack() as locks:
        if not work.force and of.documents.is_current():
            return of.documents
        found = _complete(of, work, others)
        for each in found:
            locks.enter_context(each.artifact.reading(work.wait))
            if not each.artifact.is_current():
                raise InputError(f"{each.artifact.path} was replaced meanwhile; run it again")
        locks.enter_context(of.documents.making(work.wait))
        if not work.force and of.documents.is_current():  # another process has merged them
            return of.documents
        folder = of.documents.begin()
        engine.join([each.artifact.path for each in found], folder)
        manifests = [each.manifest for each in found]
        finished: Finished = {
            "shards": [shard for manifest in manifests for shard in manifest["shards"]],
            "seconds": float(sum(manifest["seconds"] for manifest in manifests)),
            "energy": {"joules": 0.0},
        }
        for manifest in manifests:
            finished["energy"] = add(finished["energy"], manifest["energy"])
        made = sum(shard["texts"] for shard in finished["shards"])
        if made != of.corpus.documents:
            raise InputError(
                f"the shares have {made:,} documents, and {of.collection.name} {of.corpus.documents:,}; "
                "encode them again with --force"
            )
        first = manifests[0]
        parameters, threads = first["parameters"], first["threads"]
        finish("documents", of.documents, of, folder, finished, parameters, threads, len(manifests))
    link_model(of)
    for each in found:
        if each.artifact.path.parent == of.documents.path.parent:
            with each.artifact.making(work.wait):
                remove(each.artifact.manifest_path)
                remove(each.artifact.path)
    return of.documents


def _portion(of: SystemArtifacts, shard_size: int, share: Share) -> Portion:
    """Return the texts of a share; shares differ by one shard at most."""
    documents = of.corpus.documents
    shards = -(-documents // shard_size)
    if shards < share.of:
        raise InputError(
            f"--shard {share}: the {documents:,} documents of {of.collection.name} make {shards:,} shards of "
            f"{shard_size:,}; expected as many as there are shares, or more: lower --shard-size"
        )
    first, last = (number * shards // share.of for number in (share.number - 1, share.number))
    return Portion(shard_size, first * shard_size, min(last * shard_size, documents), first)


def _artifact(documents: Path, of: SystemArtifacts, shard_size: int, share: Share) -> Artifact:
    """Return a share of the encoded documents, which would lie at ``documents``."""
    inputs = of.documents.inputs | {"share": {"number": share.number, "of": share.of, "size": shard_size}}
    return Artifact(
        documents.with_name(f"{documents.name}.shard-{share.number}-of-{share.of}"), inputs, facts=FACTS
    )


def _complete(of: SystemArtifacts, work: WorkOptions, others: Sequence[Path]) -> list[Found]:
    """Return the shares that make a whole, in their order."""
    for folder in others:
        if not folder.is_dir():
            raise InputError(f"--merge {folder}: no such folder; expected what was --work on another machine")
    below = of.documents.path.relative_to(of.work)
    places = [folder / below for folder in dict.fromkeys([of.work, *others])]
    sets: dict[tuple[int, int], dict[int, Found]] = {}
    for place in places:
        for found in _shares(place, of):
            kind = found.share.of, found.manifest["inputs"]["share"]["size"]
            sets.setdefault(kind, {}).setdefault(found.share.number, found)
    for (count, _), found_of in sets.items():
        if len(found_of) == count:
            return [found_of[number] for number in range(1, count + 1)]
    if not sets:
        raise InputError(
            f"there is no share of {of.documents.path}, or under {below} of what --merge names; make them "
            "with python -m repro.encode --shard 1/N to --shard N/N (same options)"
        )
    (count, size), found_of = max(sets.items(), key=lambda each: len(each[1]) / each[0][0])
    missing = [str(Share(n, count)) for n in range(1, count + 1) if n not in found_of]
    raise InputError(
        f"{of.documents.path}: {len(missing)} of {count} shares are missing ({', '.join(missing[:5])}"
        f"{', ...' if len(missing) > 5 else ''}); make them with python -m repro.encode --shard {missing[0]} "
        f"--shard-size {size} (same options)"
    )


def _shares(documents: Path, of: SystemArtifacts) -> Iterator[Found]:
    """Yield the shares beside where encoded documents would lie; InputError if one is of other settings."""
    for path in sorted(documents.parent.glob(f"{glob.escape(documents.name)}.shard-*-of-*")):
        named = re.fullmatch(r"\.shard-(\d+)-of-(\d+)", path.name.removeprefix(documents.name))
        manifest = Artifact(path, {}, facts=FACTS).manifest()
        if not named or manifest is None:  # a lock, a manifest, or what is being made
            continue
        share = Share(*map(int, named.groups()))
        artifact = _artifact(documents, of, manifest["inputs"].get("share", {}).get("size"), share)
        if names := ", ".join(differing(manifest["inputs"], artifact.inputs)):
            raise InputError(
                f"{path} was encoded with other settings ({names}); remove it, or make it anew with "
                f"python -m repro.encode --shard {share} --force"
            )
        yield Found(share, artifact, manifest)
