"""Encoding on a Ray cluster of two nodes on this machine: the bytes of a local encoding, whatever dies."""

import os
import re

import pytest
from conftest import REPOSITORY, refused, run_here, succeed, write_beir
from test_shares import contents

ENCODE = ["repro.encode", "--collection", "tiny", "--system", "splade-tiny", "--shard-size", "3"]
ON_RAY = ["--engine", "ray", "--threads", "1", "--ray-address"]
DIES = """
import os, pathlib, repro.pipeline.encoding as encoding
flush, once = encoding.flush, pathlib.Path("died")
def dying(path, **options):
    if os.path.exists("full"):
        raise OSError(28, "No space left on device")
    if path.name == "part-00001.jsonl.gz" and not once.exists():
        once.write_text(str(os.getppid()))
        os.kill(os.getppid(), 9)  # the worker of Ray, whose stage this is
        os._exit(9)
    flush(path, **options)
encoding.flush = dying
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six passages, encoded by one process into ``alone``, and what makes a worker die, in ``dies``."""
    folder = tmp_path_factory.mktemp("ray")
    write_beir(folder / "tiny")
    (folder / "dies").mkdir()
    (folder / "dies/sitecustomize.py").write_text(DIES)
    succeed(*ENCODE, "--work", "alone", cwd=folder, by=run_here)
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    """Two nodes of one processor each; what runs on them imports ``sitecustomize`` first."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install '.[cluster]')")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "dies"), str(REPOSITORY)]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster()
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False)
        yield cluster
        cluster.shutdown()


def test_a_worker_is_killed_and_the_bytes_are_those_of_a_local_encoding(folder, cluster):
    printed = succeed(*ENCODE, *ON_RAY, cluster.address, cwd=folder)
    made = [folder / "work/encoded/tiny" / name for name in ("splade-tiny", "splade-tiny.tiny-test.queries")]
    assert printed.split() == [str(path.relative_to(folder)) for path in made]
    assert (folder / "died").exists()
    for path in made:
        assert contents(path) == contents(folder / "alone/encoded/tiny" / path.name)
    assert len(contents(made[0])) == 2
    assert not list(made[0].parent.glob("*.shard-*"))


def test_what_the_cluster_cannot_do_is_told(folder, cluster):
    more = ["--engine", "ray", "--force", "--ray-address", cluster.address, "--threads", "64"]
    assert "no machine of the Ray cluster has 64 processors (the most that one has is 1)" in refused(
        *ENCODE, *more, cwd=folder
    )
    (folder / "full").touch()
    refusal = refused(*ENCODE, *ON_RAY, cluster.address, "--force", cwd=folder)
    assert re.search(r"error: share [12]/2: repro.encode ended with exit code 2", refusal)
    (folder / "full").unlink()


def test_without_a_cluster_at_the_address(folder):
    pytest.importorskip("ray", reason="Ray is not installed (pip install '.[cluster]')")
    sentence = refused(*ENCODE, "--force", *ON_RAY, "127.0.0.1:1", cwd=folder)
    assert "--ray-address 127.0.0.1:1: no Ray cluster answers there" in sentence
