"""Artifacts: whole or not there, reused or rebuilt, whatever a process was doing when it was killed."""

import contextlib
import itertools
import json
import os
import sys
import traceback
from functools import partial

import pytest

from repro.artifacts import store
from repro.artifacts.store import Artifact

FILE_OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink"}


def build(artifact, content="x", resume=False):
    """Make an artifact of one piece, kept if an earlier attempt finished it."""
    begun = artifact.begin(resume)
    data = begun if artifact.single_file else begun / "data"
    if artifact.pieces(begun) != ["data"]:
        data.write_text(content)
        artifact.save_pieces(begun, ["data"])
    artifact.finish(begun, counts={"texts": 1})


def content(artifact):
    return (artifact.path if artifact.single_file else artifact.path / "data").read_text()


def ensure(artifact, text, force=False, resume=True):
    """Do what every stage does."""
    if force or not artifact.is_current():
        with artifact.making():
            if force or not artifact.is_current():
                build(artifact, text, resume and not artifact.single_file)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def killed_at(moment, folder, work):
    """Do ``work`` in a process that is killed before its ``moment``-th operation on what is below ``folder``.

    Tell whether it came so far.
    """
    child = os.fork()
    if child == 0:
        counter = itertools.count(1)

        def hook(event, arguments):
            ours = event in FILE_OPERATIONS and str(arguments[0]).startswith(str(folder))
            if ours and next(counter) == moment:
                os._exit(9)

        try:
            sys.addaudithook(hook)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_artifact_is_current_only_for_its_own_inputs(tmp_path):
    artifact = Artifact(tmp_path / "a", {"weights": "1", "scale": 51.2})
    assert not artifact.is_current()
    build(artifact)
    assert artifact.is_current()
    assert artifact.manifest()["counts"] == {"texts": 1}
    assert artifact.manifest()["made"]["versions"]["repro"]
    assert not Artifact(tmp_path / "a", {"weights": "2", "scale": 51.2}).is_current()
    assert names(tmp_path) == ["a", "a.manifest.json"]


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path):
    old, new = Artifact(tmp_path / "a", {"n": 1}), Artifact(tmp_path / "a", {"n": 2})
    build(old, "old")
    folder = new.begin()
    (folder / "data").write_text("half")
    assert old.is_current() and content(old) == "old"
    new.finish(folder)
    assert new.is_current() and not old.is_current() and content(new) == "half"


@pytest.mark.parametrize("single_file", [False, True], ids=["folder", "file"])
@pytest.mark.parametrize("present", ["nothing", "old", "current"])
@pytest.mark.parametrize("next_wants", ["new", "old"])
def test_killed_at_any_operation_the_next_process_ends_with_the_whole_artifact(
    tmp_path, monkeypatch, single_file, present, next_wants
):
    monkeypatch.setattr(store, "provenance", dict)  # reading versions takes long, and so does flushing,
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which a killed process can do without
    inputs = {"old": {"n": 1}, "new": {"n": 2}, "current": {"n": 2}}
    for moment in itertools.count(1):
        folder = tmp_path / str(moment)
        folder.mkdir()
        old, new = (Artifact(folder / "a", inputs[name], single_file) for name in ("old", "new"))
        if present != "nothing":
            build(Artifact(folder / "a", inputs[present], single_file), present)
        killed = killed_at(moment, folder, partial(ensure, new, "new", force=present == "current"))
        for artifact, texts in ((old, {"old"}), (new, {"new", "current"})):
            assert not artifact.is_current() or content(artifact) in texts, moment
        required = new if next_wants == "new" else old
        ensure(required, next_wants, force=present == "current")
        assert required.is_current() and content(required) in (next_wants, present), moment
        ensure(new, "new", force=present == "current")
        assert new.is_current() and content(new) == "new", moment
        assert set(names(folder)) - {"a.lock"} == {"a", "a.manifest.json"}, moment
        if not killed:
            break
    assert moment > 8  # every step of beginning, writing and putting in place was one


def test_forced_work_that_was_killed_leaves_no_list_of_pieces_that_are_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for moment in itertools.count(1):
        folder = tmp_path / str(moment)
        folder.mkdir()
        artifact = Artifact(folder / "a", {"n": 1})
        begun = artifact.begin()
        (begun / "data").write_text("killed before")
        artifact.save_pieces(begun, ["data"])
        killed = killed_at(moment, folder, partial(ensure, artifact, "x", resume=False))
        ensure(artifact, "x")
        assert content(artifact) in ("x", "killed before"), moment
        if not killed:
            break


def test_partial_work_is_kept_only_for_the_same_inputs(tmp_path):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    (artifact.begin() / "part-0").write_text("done")
    assert (artifact.begin(resume=True) / "part-0").exists()
    assert not (artifact.begin(resume=False) / "part-0").exists()
    (artifact.begin() / "part-0").write_text("done")
    assert not (Artifact(tmp_path / "a", {"n": 2}).begin(resume=True) / "part-0").exists()


def test_work_of_a_killed_process_is_taken_over_and_its_rest_removed(tmp_path):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    for process in ("partial-1", "partial-2"):
        (tmp_path / f"a.{process}").mkdir()
        (tmp_path / f"a.{process}.json").write_text(json.dumps({"inputs": {"n": 1}, "pieces": [process]}))
    (tmp_path / "a.partial-3").mkdir()
    (tmp_path / "ab.partial-4").mkdir()  # another artifact's
    assert artifact.pieces(artifact.begin(resume=True)) == ["partial-1"]
    assert names(tmp_path) == ["a.partial-1", "a.partial-1.json", "ab.partial-4"]


def test_names_with_signs_of_patterns_are_taken_as_they_are(tmp_path):
    (tmp_path / "run.b.partial-1").mkdir()
    artifact = Artifact(tmp_path / "run.[abc]", {"n": 1})
    build(artifact)
    build(artifact, resume=True)
    assert names(tmp_path) == ["run.[abc]", "run.[abc].manifest.json", "run.b.partial-1"]


@pytest.mark.parametrize(
    "manifest",
    ['{"inputs": {"n"', "[1, 2]", "null", '"text"', "{}", '{"inputs": [1]}', '{"inputs": null}', "\udcff"],
)
def test_damaged_or_foreign_manifests_vouch_for_nothing(tmp_path, manifest):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    build(artifact)
    artifact.manifest_path.write_bytes(manifest.encode("utf-8", "surrogateescape"))
    assert not artifact.is_current() and artifact.manifest() is None
    ensure(artifact, "anew")
    assert artifact.is_current() and content(artifact) == "anew"


def test_a_manifest_without_its_facts_vouches_for_nothing(tmp_path):
    build(Artifact(tmp_path / "a", {"n": 1}))
    assert Artifact(tmp_path / "a", {"n": 1}, facts=("counts",)).is_current()
    assert not Artifact(tmp_path / "a", {"n": 1}, facts=("counts", "bytes")).is_current()


@pytest.mark.parametrize(
    "record", ["", "[]", '{"partial": 3, "manifest": {}}', '{"manifest": {"inputs": {}}}']
)
def test_a_damaged_commit_record_puts_nothing_in_place(tmp_path, record):
    artifact = Artifact(tmp_path / "a", {"n": 1})
    build(artifact, "whole")
    (tmp_path / "a.commit.json").write_text(record)
    assert not artifact.is_current()
    with artifact.making():
        assert artifact.is_current()
    assert content(artifact) == "whole" and names(tmp_path) == ["a", "a.manifest.json"]


def test_a_commit_record_whose_partial_folder_was_removed_by_hand_vouches_for_nothing(tmp_path):
    old, new = Artifact(tmp_path / "a", {"n": 1}), Artifact(tmp_path / "a", {"n": 2})
    build(old, "old")
    record = {"partial": "a.partial-7", "manifest": {"inputs": {"n": 2}}}
    (tmp_path / "a.commit.json").write_text(json.dumps(record))
    with new.making():
        assert old.is_current() and not new.is_current()


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_takes_the_place_of_a_file_and_a_file_that_of_a_folder(tmp_path, resume):
    folder, file = Artifact(tmp_path / "a", {"n": 1}), Artifact(tmp_path / "a", {"n": 1}, single_file=True)
    build(file, "file")
    assert not folder.is_current()
    build(folder, "folder", resume)
    assert folder.is_current() and not file.is_current()
    build(file, "file")
    assert file.is_current() and names(tmp_path) == ["a", "a.manifest.json"]


def test_what_a_manifest_vouches_for_is_on_the_disk_before(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(descriptor):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def noted_replace(source, target):
        order.append(f"-> {os.path.basename(target)}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    build(Artifact(tmp_path / "a", {"n": 1}))
    begun = f"a.partial-{os.getpid()}"
    written = order[order.index("data") :]
    assert written[:2] == ["data", begun]
    assert written.index(begun) < written.index("-> a.commit.json") < written.index("-> a")
    assert written.index("-> a") < written.index("-> a.manifest.json")


def test_changed_run_file_is_not_current(tmp_path):
    artifact = Artifact(tmp_path / "run", {"n": 1}, single_file=True)
    build(artifact, "q Q0 d 1 1 t\n")
    assert artifact.is_current()
    artifact.path.write_text("q Q0 e 1 1 t\n")
    assert not artifact.is_current()


def test_a_failure_while_making_keeps_the_old_one_and_frees_the_lock(tmp_path):
    old, new = Artifact(tmp_path / "a", {"n": 1}), Artifact(tmp_path / "a", {"n": 2})
    build(old, "old")
    with contextlib.suppress(OSError), new.making():
        (new.begin() / "data").write_text("half")
        raise OSError("no space left")
    assert old.is_current() and content(old) == "old" and not (tmp_path / "a.lock").exists()
