"""Work on a Ray cluster of two nodes on this machine: the bytes of local work, whatever dies."""

import os
import re

import pytest
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir
from test_shares import contents

from repro.distillation import teacher_store

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

import repro.distillation.teacher_store as store
append, scored = store.TeacherStore._append, pathlib.Path("died-scoring")
store.CALL = 2
def dying_store(*arguments):
    if not scored.exists():
        scored.write_text(str(os.getppid()))
        os.kill(os.getppid(), 9)
        os._exit(9)
    append(*arguments)
store.TeacherStore._append = dying_store
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


def test_dense_shards_have_the_bytes_of_a_local_encoding(folder, cluster):
    command = [*ENCODE[:4], "all-minilm-l6-v2", *ENCODE[5:], "--only", "documents", "--threads", "1"]
    succeed(*command, "--work", "alone", cwd=folder, by=run_here)
    done = run(*command, "--engine", "ray", "--ray-address", cluster.address, cwd=folder)
    assert done.returncode == 0 and "Ray: 2 machines, 2 shares at a time" in done.stderr, done.stderr
    made = folder / "work/encoded/tiny/all-minilm-l6-v2"
    assert contents(made) == contents(folder / "alone/encoded/tiny/all-minilm-l6-v2")
    assert set(contents(made)) == {"docid", "index"}


def test_a_teacher_works_on_ray_and_the_data_are_those_of_local_work(folder, cluster, monkeypatch):
    """One worker is killed before it has written what it computed."""
    monkeypatch.setattr(teacher_store, "CALL", 2)
    lines = [f"q{q} Q0 d{d} {d} {50 - d} x\n" for q in range(1, 4) for d in range(1, 7)]
    (folder / "run.txt").write_text("".join(lines))
    command = ["repro.distill", *ENCODE[1:3], "--negatives-from", "run.txt", "--negatives", "3"]
    command += ["--teacher", "dense:all-minilm-l6-v2", "--threads", "1", "--output"]
    succeed(*command, "local", "--work", "local-work", cwd=folder, by=run_here)
    on_ray = ["on-ray", "--work", "ray-work", "--engine", "ray", "--ray-address", cluster.address]
    done = run(*command, *on_ray, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "died-scoring").exists()
    assert "5 of 5 passages are known" in done.stderr and "3 of 3 queries are known" in done.stderr
    assert contents(folder / "on-ray") == contents(folder / "local")


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
