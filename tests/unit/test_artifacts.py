"""Artifacts: whole or not there, reused or rebuilt."""

from repro.artifacts.store import Artifact


def build(artifact, content="x", resume=False):
    folder = artifact.begin(resume)
    (folder / "data").write_text(content)
    artifact.finish(folder, counts={"texts": 1})


def test_artifact_is_current_only_for_its_own_inputs(tmp_path):
    artifact = Artifact(tmp_path / "a", {"weights": "1", "scale": 51.2})
    assert not artifact.is_current()
    build(artifact)
    assert artifact.is_current()
    assert artifact.manifest()["counts"] == {"texts": 1}
    assert artifact.manifest()["made"]["versions"]["repro"]
    assert not Artifact(tmp_path / "a", {"weights": "2", "scale": 51.2}).is_current()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.manifest.json"]


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path):
    old, new = Artifact(tmp_path / "a", {"n": 1}), Artifact(tmp_path / "a", {"n": 2})
    build(old, "old")
    folder = new.begin()
    (folder / "data").write_text("half")
    assert old.is_current() and (tmp_path / "a" / "data").read_text() == "old"
    new.finish(folder)
    assert new.is_current() and not old.is_current() and (tmp_path / "a" / "data").read_text() == "half"


def test_partial_work_is_kept_only_for_the_same_inputs(tmp_path):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    (artifact.begin() / "part-0").write_text("done")
    assert (artifact.begin(resume=True) / "part-0").exists()
    assert not (artifact.begin(resume=False) / "part-0").exists()
    (artifact.begin() / "part-0").write_text("done")
    assert not (Artifact(tmp_path / "a", {"n": 2}).begin(resume=True) / "part-0").exists()


def test_artifact_without_manifest_is_not_whole(tmp_path):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    build(artifact)
    artifact.manifest_path.write_text('{"inputs": {"n"')  # killed while writing
    assert not artifact.is_current()


def test_changed_run_file_is_not_current(tmp_path):
    artifact = Artifact(tmp_path / "run", {"n": 1}, single_file=True)
    partial = artifact.begin()
    partial.write_text("q Q0 d 1 1 t\n")
    artifact.finish(partial)
    assert artifact.is_current()
    artifact.path.write_text("q Q0 e 1 1 t\n")
    assert not artifact.is_current()
