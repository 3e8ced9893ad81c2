"""Run stages on the machines of a Ray cluster: each share of some work is a task of it.

Ray finds a machine with enough processors for each share, and gives a share whose machine or process died to
another one, which goes on from what is finished. The machines see one file system, with --work, the
collection and the weights under the same paths, and have this package installed.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.progress import bar, note
from repro.cli.share_options import ClusterOptions, Share
from repro.cli.stages import Stage, StageKilled
from repro.models.folder import first_line

RETRIES = 3
"""How often a share is begun again, if what worked on it was killed; an error of its own is told at once."""

PATIENCE = 10
"""Seconds within which a cluster must answer."""


def run_on_ray(
    stages: Callable[[int], dict[Share, Stage]], cluster: ClusterOptions, threads: int, task: str
) -> None:
    """Run the stages of all shares, each with ``threads``; ``stages`` makes them of how many the cluster runs
    at a time.

    InputError if Ray is not installed, if there is no cluster at the address, if no machine of it has as many
    processors as there are threads (or GPUs), or if a stage ends with an error.
    """
    ray = _import_ray()
    with contextlib.redirect_stdout(sys.stderr):  # to which Ray hands on what the machines print
        _connect(ray, cluster)
        try:
            _run_all(ray, stages(_places(ray, cluster, threads)), cluster, threads, task)
        finally:
            ray.shutdown()


def _run_all(ray: Any, stages: dict[Share, Stage], cluster: ClusterOptions, threads: int, task: str) -> None:
    remote = ray.remote(
        num_cpus=threads, num_gpus=cluster.gpus, max_retries=RETRIES, retry_exceptions=[StageKilled]
    )(_run)
    folder = Path.cwd()
    running = {remote.remote(each, folder): share for share, each in stages.items()}
    with bar(len(stages), f"{task} on Ray", "shares") as progress:
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            share = running.pop(done)
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, InputError):
                    raise
                raise InputError(f"share {share}: {error.cause}") from error
            except ray.exceptions.RayError as error:  # processes or machines that died, too often
                raise InputError(
                    f"share {share}: Ray gave it up after {RETRIES + 1} attempts ({first_line(error)}); what "
                    "was finished is kept, and the same command goes on from there"
                ) from error
            progress.update()


def _run(stage: Stage, folder: Path) -> str:
    """Run a stage in the folder in which the command was given: its paths may be relative."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be entered on {socket.gethostname()} ({error.strerror}); give the command in a "
            "folder that all machines of the cluster see"
        ) from error
    return stage.run()


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "--engine ray needs Ray, which is not installed: pip install '.[cluster]' in the checkout"
        ) from error
    return ray


def _connect(ray: Any, cluster: ClusterOptions) -> None:
    """Join the cluster at the address (or in RAY_ADDRESS), or start one of this machine alone."""
    address = cluster.ray_address
    if address and (place := re.fullmatch(r"(?:ray://)?([^/:]+):(\d+)", address)):
        try:  # Ray itself tries for minutes
            socket.create_connection((place[1], int(place[2])), timeout=PATIENCE).close()
        except OSError as error:
            raise InputError(
                f"--ray-address {address}: no Ray cluster answers there ({error}); start one with ray start "
                "--head, or leave the address out to use this machine"
            ) from error
    try:
        ray.init(address=address, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError) as error:  # RuntimeError: another version's cluster
        raise InputError(
            f"--ray-address {address}: Ray does not join it ({first_line(error)}); expected HOST:PORT, "
            "ray://HOST:PORT or auto, of a cluster with the same versions of Ray and Python"
        ) from error


def _places(ray: Any, cluster: ClusterOptions, threads: int) -> int:
    """Return how many shares the cluster works on at a time.

    InputError for what no machine has: Ray would wait for one that has it, for ever.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fitting = [m for m in machines if m.get("CPU", 0) >= threads and m.get("GPU", 0) >= cluster.gpus]
    if not fitting:
        most = max((int(machine.get("CPU", 0)) for machine in machines), default=0)
        gpus, lower = (f" and {cluster.gpus:g} GPUs", " or --gpus") if cluster.gpus else ("", "")
        raise InputError(
            f"no machine of the Ray cluster has {threads} processors{gpus} (the most that one has is "
            f"{most}); lower --threads{lower}"
        )
    places = sum(int(machine["CPU"] // threads) for machine in fitting)
    note(f"Ray: {len(machines)} machines, {places} shares at a time, {threads} processors each")
    return places
