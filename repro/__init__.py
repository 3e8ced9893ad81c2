"""SPLADE Tiny MSMARCO, reproduced: small learned-sparse retrievers, from a collection to a measured table.

As a library (docs/library.md): ``from repro import SpladeEncoder, accelerate, Index, Searcher``.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.base.errors import InputError
    from repro.library.evaluation import evaluate_run
    from repro.library.index import Index
    from repro.library.matching import matching_terms
    from repro.library.searcher import Searcher
    from repro.splade.acceleration import accelerate, restore
    from repro.splade.encoder import SpladeEncoder
    from repro.splade.static_queries import StaticQueryEncoder

__version__ = "0.2.0"

__all__ = [
    "Index",
    "InputError",
    "Searcher",
    "SpladeEncoder",
    "StaticQueryEncoder",
    "accelerate",
    "evaluate_run",
    "matching_terms",
    "restore",
]

_PLACES = {
    "Index": "repro.library.index",
    "InputError": "repro.base.errors",
    "Searcher": "repro.library.searcher",
    "SpladeEncoder": "repro.splade.encoder",
    "StaticQueryEncoder": "repro.splade.static_queries",
    "accelerate": "repro.splade.acceleration",
    "evaluate_run": "repro.library.evaluation",
    "matching_terms": "repro.library.matching",
    "restore": "repro.splade.acceleration",
}
"""Where a name is imported from when it is asked for: ``import repro`` loads neither torch nor the JVM."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
