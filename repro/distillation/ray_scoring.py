"""Distil with a teacher that works on the machines of a Ray cluster: each share of its work is a task.

All of them fill the same stores below --work, of which the data are made here, with the bytes that one
machine would have written. What a killed task has computed stays.
"""

from dataclasses import replace
from pathlib import Path

from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.share_options import ClusterOptions, Share, ShareOptions
from repro.cli.stages import Stage, stage
from repro.cli.training_options import DistillationOptions
from repro.distillation.distilling import distill
from repro.pipeline.ray_tasks import run_on_ray


def distill_on_ray(
    collection: CollectionOptions, options: DistillationOptions, work: WorkOptions, cluster: ClusterOptions
) -> Path:
    """Make the data unless they are there, with as many shares of the teacher's work as the cluster runs at a
    time; return where they lie. InputError as ``distill`` and ``run_on_ray`` raise it.
    """
    shared, threads = replace(work, wait=True), ["--threads", str(work.threads)]

    def stages(places: int) -> dict[Share, Stage]:
        return {
            share: stage("repro.distill", collection, options, shared, ShareOptions(shard=share), *threads)
            for share in (Share(number, places) for number in range(1, places + 1))
        }

    return distill(
        collection,
        options,
        work,
        compute=lambda: run_on_ray(stages, cluster, work.threads, "scoring"),
    )
