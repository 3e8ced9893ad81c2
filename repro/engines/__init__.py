"""The kinds of systems behind one protocol: what each makes of a collection, from what, and with what.

``lucene``, ``splade`` and ``dense`` do the work; an engine says which of it a kind of system needs.
"""

from repro.engines.bm25 import Bm25Engine
from repro.engines.dense import DenseEngine
from repro.engines.protocol import EncodingEngine, TextEngine
from repro.engines.splade import SpladeEngine

ENGINES: dict[str, TextEngine | EncodingEngine] = {
    "bm25": Bm25Engine(),
    "splade": SpladeEngine(),
    "dense": DenseEngine(),
}
"""By the kind of a system, as systems.yaml names it."""
