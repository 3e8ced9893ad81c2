"""The kinds of systems behind one protocol: what each makes of a collection, from what, and with what.

``lucene``, ``splade`` and ``dense`` do the work; an engine says which of it a kind of system needs. Some
engines search an index, and some combine the runs of other systems.
"""

from repro.engines.bm25 import Bm25Engine
from repro.engines.dense import DenseEngine
from repro.engines.fusion import FusionEngine
from repro.engines.protocol import CombiningEngine, EncodingEngine, TextEngine
from repro.engines.reranking import RerankingEngine
from repro.engines.splade import SpladeDocEngine, SpladeEngine
from repro.models.systems import System

ENGINES: dict[str, TextEngine | EncodingEngine | CombiningEngine] = {
    "bm25": Bm25Engine(),
    "splade": SpladeEngine(),
    "splade-doc": SpladeDocEngine(),
    "dense": DenseEngine(),
    "fusion": FusionEngine(),
    "reranking": RerankingEngine(),
}
"""By the kind of a system, as systems.yaml names it, or ``models.systems.combination``."""


def option_groups(system: System) -> tuple[type, ...]:
    """Return the groups of SystemOptions that decide a system's figures: its engine's and its parts'."""
    own = ENGINES[system.kind].options
    return tuple(dict.fromkeys([*own, *(group for part in system.parts for group in option_groups(part))]))
