"""The jar in the repository is that of the sources beside it, and fits the Lucene and Anserini installed."""

import importlib.util
import struct
import zipfile
from dataclasses import dataclass, field

import pytest
from conftest import REPOSITORY

from repro.lucene.java import OWN_JAR, anserini_jar
from repro.lucene.version import lucene_version

PEERS = ("org/apache/lucene/", "io/anserini/")
WIDTHS = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4}
"""Bytes of a constant by its tag (JVM specification, table 4.4-A)."""


@dataclass
class ClassFile:
    """What a class declares, (name, descriptor) each, and what it refers to, (class, name, descriptor)."""

    parents: list[str] = field(default_factory=list)
    declared: set[tuple[str, str]] = field(default_factory=set)
    used: set[tuple[str, str, str]] = field(default_factory=set)


def read_class(data: bytes) -> ClassFile:
    """Read a class file's constants, parents, fields and methods (JVM specification, chapter 4)."""
    texts: dict[int, str] = {}
    constants: dict[int, tuple[int, bytes]] = {}
    position, number = 10, 1
    while number < struct.unpack_from(">H", data, 8)[0]:
        tag, position = data[position], position + 1
        if tag == 1:
            (length,) = struct.unpack_from(">H", data, position)
            texts[number] = data[position + 2 : position + 2 + length].decode(errors="replace")
            position += 2 + length
        else:
            constants[number] = tag, data[position : position + WIDTHS[tag]]
            position += WIDTHS[tag]
        number += 2 if tag in (5, 6) else 1

    def pair(index: int) -> tuple[int, int]:
        return struct.unpack(">HH", constants[index][1])

    def class_name(index: int) -> str:
        return texts[struct.unpack(">H", constants[index][1])[0]]

    found = ClassFile()
    for index, (tag, _) in constants.items():
        if tag in (9, 10, 11):  # references to fields, methods, interfaces' methods
            owner, member = pair(index)
            name, descriptor = pair(member)
            found.used.add((class_name(owner), texts[name], texts[descriptor]))
    _, _, parent, count = struct.unpack_from(">4H", data, position)
    interfaces = struct.unpack_from(f">{count}H", data, position + 8)
    found.parents = [class_name(i) for i in (parent, *interfaces) if i]
    position += 8 + 2 * count
    for _ in range(2):  # fields, then methods
        (members,) = struct.unpack_from(">H", data, position)
        position += 2
        for _ in range(members):
            _, name, descriptor, attributes = struct.unpack_from(">4H", data, position)
            found.declared.add((texts[name], texts[descriptor]))
            position += 8
            for _ in range(attributes):
                position += 6 + struct.unpack_from(">I", data, position + 2)[0]
    return found


def declares(jar: zipfile.ZipFile, owner: str, member: tuple[str, str]) -> bool:
    """Tell whether a class, or one that it inherits from, has a member; Java's own are taken to have it."""
    if owner.startswith("java/"):
        return owner != "java/lang/Object" or member[0] in vars(object)
    try:
        found = read_class(jar.read(f"{owner}.class"))
    except KeyError:
        return False
    return member in found.declared or any(declares(jar, parent, member) for parent in found.parents)


@pytest.fixture(scope="module")
def uses():
    """All that the jar's classes refer to in Lucene and Anserini."""
    with zipfile.ZipFile(OWN_JAR) as jar:
        classes = [read_class(jar.read(name)) for name in jar.namelist() if name.endswith(".class")]
    return {use for one in classes for use in one.used if use[0].startswith(PEERS)}


def test_jar_was_built_from_these_sources():
    spec = importlib.util.spec_from_file_location("build", REPOSITORY / "native/lucene/build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with zipfile.ZipFile(build.JAR) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
    assert f"Sources: {build.checksum()}\n" in manifest, "run PYTHONPATH=. python native/lucene/build.py"


def test_all_that_it_calls_is_in_the_installed_lucene_and_anserini(uses):
    """Java looks a method up when it is first called: a search would be the first to fail."""
    assert len(uses) > 80
    with zipfile.ZipFile(anserini_jar()) as jar:
        missing = [use for use in sorted(uses) if not declares(jar, use[0], use[1:])]
    assert missing == []


def test_a_method_that_lucene_10_dropped_is_found_missing():
    collector = "org/apache/lucene/search/TopScoreDocCollector"
    with zipfile.ZipFile(anserini_jar()) as jar:
        assert declares(jar, collector, ("topDocs", "()Lorg/apache/lucene/search/TopDocs;"))  # inherited
        found = declares(jar, collector, ("create", f"(II)L{collector};"))
    assert found == lucene_version().startswith("9.")
