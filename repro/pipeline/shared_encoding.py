"""Encode a collection on several machines: each a share of the shards, and then all shares put together.

What is merged of them has the bytes that one machine would write: share i of n is the i-th run of whole ones.
Queries are few, and are encoded as ever.
"""

from collections.abc import Sequence
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.energy import add
from repro.base.errors import InputError
from repro.base.progress import note
from repro.cli.options import WorkOptions
from repro.cli.share_options import Share
from repro.engines.protocol import EncodingEngine
from repro.pipeline.encoding import Finished, Portion, encoding_engine, facts, finish, write_shards
from repro.pipeline.linking import link_model
from repro.pipeline.sharing import Found, Sharing, merge, shards_of


def encoded_shares(of: SystemArtifacts) -> Sharing:
    """Return how the encoded documents are shared out."""
    told = ("shards", "seconds", "energy", "parameters", "threads")
    return Sharing(of.documents, of.work, "repro.encode", "encoded", told, size_option="--shard-size")


def encode_share(of: SystemArtifacts, work: WorkOptions, shard_size: int, share: Share) -> Artifact:
    """Make a share of the encoded documents, if it is missing or outdated; return it.

    The encoded documents themselves, if they are current. InputError if there are fewer shards than shares.
    """
    engine, weights = encoding_engine(of)
    if not work.force and of.documents.is_current():
        note(f"{of.documents.path} is whole: nothing is left to encode")
        return of.documents
    documents = of.corpus.documents
    shards = shards_of(share, documents, shard_size, of.collection.name, "lower --shard-size")
    last = min(shards.stop * shard_size, documents)
    portion = Portion(shard_size, shards.start * shard_size, last, shards.start)
    artifact = encoded_shares(of).share(share, shard_size)
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


def merge_encoded(of: SystemArtifacts, work: WorkOptions, others: Sequence[Path]) -> Artifact:
    """Make the encoded documents of the shares that lie in ``work``, or in ``others`` (as --work), too.

    InputError, which says which, if shares are missing or are of other settings. Files are linked where that
    is possible (dense vectors are copied: they are one file in the end); of what was merged, ``work`` keeps
    no share.
    """
    engine, _ = encoding_engine(of)
    merge(
        encoded_shares(of),
        work,
        others,
        lambda: work.force or not of.documents.is_current(),
        lambda found: _put_together(of, engine, found),
    )
    link_model(of)
    return of.documents


def _put_together(of: SystemArtifacts, engine: EncodingEngine, found: list[Found]) -> None:
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
