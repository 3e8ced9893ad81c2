"""Run Pyserini's own commands on the Java that this project finds.

    python -m repro.pyserini search.lucene --impact --index work/indexes/lucene-impact.sample.splade-tiny ...

Everything after the module's name goes to Pyserini unchanged.
"""

import importlib.util
import os
import runpy
import sys

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.lucene.pyserini import prepare_pyserini

USAGE = """usage: python -m repro.pyserini MODULE [ARGUMENT ...]

MODULE is search.lucene, index.lucene, eval.trec_eval ..."""


def main(argv: list[str] | None = None) -> int:
    """Set Java up, then run ``pyserini.<module>`` as if by ``python -m``."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    module = f"pyserini.{argv[0].removeprefix('pyserini.')}"
    if not _exists(module):
        raise InputError(
            f"Pyserini has no module {module}; try search.lucene, index.lucene, encode or eval.trec_eval"
        )
    # Pyserini shares its process with torch and FAISS, whose OpenMP runtimes refuse to meet on some systems.
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")
    prepare_pyserini()
    sys.argv = [module, *argv[1:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _exists(module: str) -> bool:
    """Tell whether a module can be run, without importing it (or its parents, which would start the JVM)."""
    spec = importlib.util.find_spec("pyserini")
    if spec is None or not spec.submodule_search_locations:
        return False
    path = os.path.join(spec.submodule_search_locations[0], *module.split(".")[1:])
    return os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__main__.py"))


if __name__ == "__main__":
    sys.exit(guarded(main))
