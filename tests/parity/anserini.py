"""Classes of Anserini's jar run as ``bin/run.sh`` does, without Python between."""

import subprocess

from repro.lucene.java import anserini_jar, find_java


def java(*command: object) -> str:
    """Run a class with its arguments; return what it prints."""
    line = [find_java().home / "bin/java", "-XX:TieredStopAtLevel=1", "-cp", anserini_jar(), *command]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trec_eval(*arguments: object) -> str:
    """Run trec_eval itself, which the jar holds; return what it prints."""
    return java("trec_eval", *arguments)
