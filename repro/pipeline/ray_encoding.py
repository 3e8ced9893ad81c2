"""Encode on the machines of a Ray cluster: each shard of the documents is a share, and a task.

A share whose process died goes on after its last whole shard; what is merged has the bytes that one machine
would have written.
"""

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.cli.options import CollectionOptions, ShardOptions, SystemOption, WorkOptions
from repro.cli.share_options import ClusterOptions, Share, ShareOptions
from repro.cli.stages import stage
from repro.pipeline.encoding import encode, encoding_engine
from repro.pipeline.ray_tasks import run_on_ray
from repro.pipeline.shared_encoding import merge_encoded


def encode_on_ray(
    of: SystemArtifacts,
    collection: CollectionOptions,
    work: WorkOptions,
    shard_size: int,
    cluster: ClusterOptions,
    only: str | None = None,
) -> list[Artifact]:
    """Make the encoded documents, if they are missing or outdated, a shard a task, and the queries here, if
    both are asked for; return what was.

    InputError as ``run_on_ray`` raises it.
    """
    engine, _ = encoding_engine(of)
    if work.force or not of.documents.is_current():
        _encode_documents(of, collection, work, shard_size, cluster)
    if only == "documents" or engine.weighs_by_index:
        return [of.documents]
    return [of.documents, *encode(of, work, shard_size, "queries")]


def _encode_documents(
    of: SystemArtifacts,
    collection: CollectionOptions,
    work: WorkOptions,
    shard_size: int,
    cluster: ClusterOptions,
) -> None:
    shards = -(-of.corpus.documents // shard_size)
    named, sized, encoding = SystemOption(of.system.spec), ShardOptions(shard_size), of.options.encoding
    threads = ["--threads", str(work.threads)]  # whatever the default is on another machine
    stages = {
        share: stage(
            "repro.encode", collection, named, encoding, sized, work, ShareOptions(shard=share), *threads
        )
        for share in (Share(number, shards) for number in range(1, shards + 1))
    }
    run_on_ray(lambda places: stages, cluster, work.threads, "encoding")
    merge_encoded(of, work, [])
