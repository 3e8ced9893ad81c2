"""Compile this folder's Java into repro/lucene/impacts.jar, which is kept in the repository.

    PYTHONPATH=. python native/lucene/build.py

Needs a JDK 21 or newer (JAVA_HOME, or javac on the PATH); users need none, since the jar comes with the
package. The jar's manifest records the checksum of the sources, and a test compares it, so that the two
cannot drift apart.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
JAR = SOURCES.parent.parent / "repro" / "lucene" / "impacts.jar"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same jar from the same sources, whenever it is built


def checksum() -> str:
    """Return the SHA-256 of all sources, in the order of their names; a manifest's line holds 40 digits."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.java")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:40]


def main() -> int:
    """Compile for Java 21, the oldest that Anserini runs on, and write the jar."""
    from repro.lucene.java import anserini_jar

    home = os.environ.get("JAVA_HOME")
    javac = Path(home) / "bin" / "javac" if home else shutil.which("javac")
    if javac is None:
        raise SystemExit("there is no javac on the PATH: install a JDK 21 or newer, and set JAVA_HOME to it")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            javac,
            "--release",
            "21",
            "-Xlint:all,-path,-classfile",
            "-cp",
            anserini_jar(),
            "-d",
            folder,
        ]
        subprocess.run([*map(str, command), *map(str, sorted(SOURCES.glob("*.java")))], check=True)
        with zipfile.ZipFile(JAR, "w", zipfile.ZIP_DEFLATED) as jar:
            jar.writestr(
                zipfile.ZipInfo("META-INF/MANIFEST.MF", EPOCH),
                f"Manifest-Version: 1.0\nSources: {checksum()}\n",
            )
            for path in sorted(Path(folder).rglob("*.class")):
                name = zipfile.ZipInfo(str(path.relative_to(folder)), EPOCH)
                jar.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
