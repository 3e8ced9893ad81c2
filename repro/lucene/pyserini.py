"""Make Pyserini importable in this process: on the Java found, and without a network, too.

Importing Pyserini 2.4 fetches the list of its prebuilt indexes from GitHub, and fails where that cannot be
reached, whatever is to be searched.
"""

import importlib
import importlib.util
import io
import json
import sys
import urllib.request
from typing import Any

from repro.base.progress import note
from repro.lucene.java import Java, prepare_jvm

CATALOGUE = "pyserini.prebuilt_index_info"


def prepare_pyserini() -> Java:
    """Get ready to import Pyserini; return the Java that it will run on. To be called before anything imports
    jnius.
    """
    java = prepare_jvm()
    if CATALOGUE not in sys.modules and importlib.util.find_spec("pyserini"):
        try:
            importlib.import_module(CATALOGUE)
        except OSError as error:  # urllib's URLError, timeouts
            reason = getattr(error, "reason", error)
            note(f"Pyserini's list of prebuilt indexes cannot be fetched ({reason}); it knows of none")
            _import_without_network()
    return java


def _import_without_network() -> None:
    """Import the catalogue empty, but for the entries that it looks up while it is imported."""
    looked_up: list[str] = []

    def urlopen(*_: Any, **__: Any) -> io.BytesIO:
        entry = {"description": "", "filename": "", "urls": [], "md5": "", "size": 0}
        return io.BytesIO(json.dumps([{"name": name, **entry} for name in looked_up]).encode())

    real = urllib.request.urlopen
    urllib.request.urlopen = urlopen
    try:
        while CATALOGUE not in sys.modules:
            try:
                importlib.import_module(CATALOGUE)
            except KeyError as missing:
                if missing.args[0] in looked_up:
                    raise
                looked_up.append(missing.args[0])
    finally:
        urllib.request.urlopen = real
