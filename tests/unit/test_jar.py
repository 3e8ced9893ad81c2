"""The jar in the repository is that of the sources beside it."""

import importlib.util
import zipfile

from conftest import REPOSITORY


def test_jar_was_built_from_these_sources():
    spec = importlib.util.spec_from_file_location("build", REPOSITORY / "native/lucene/build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with zipfile.ZipFile(build.JAR) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
    assert f"Sources: {build.checksum()}\n" in manifest, "run PYTHONPATH=. python native/lucene/build.py"
