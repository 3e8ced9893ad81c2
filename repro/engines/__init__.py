"""The kinds of systems behind one protocol: what each makes of a collection, from what, and with what.

``lucene``, ``splade`` and ``dense`` do the work; an engine says which of it a kind of system needs. Some
engines search an index, and some combine the runs of other systems.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from repro.base.errors import InputError
from repro.cli.options import EncodingOptions, SystemOptions
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


def deciding(system: System, options: SystemOptions) -> list[Any]:
    """Return the groups of options that decide a system's figures; what does not of them is at its default.

    So dense models know nothing of a scale, and each kind of its own values of ``--precision``.
    """
    groups = [getattr(options, entry.name) for entry in fields(SystemOptions)]
    return [
        of_encoding(system, group) if isinstance(group, EncodingOptions) else group
        for group in groups
        if type(group) in option_groups(system)
    ]


def of_encoding(system: System, options: EncodingOptions) -> EncodingOptions:
    """Return the options of encoding that decide what a system, or a part of it, makes; else the defaults."""
    engines = [engine for engine in _engines(system) if engine.encodes]
    scaled = any(engine.has_impacts for engine in engines)
    known = any(options.precision in engine.precisions for engine in engines)
    default = EncodingOptions()
    return EncodingOptions(
        scale=options.scale if scaled else default.scale,
        precision=options.precision if known else default.precision,
    )


def check_precision(system: System, options: EncodingOptions) -> None:
    """Raise InputError if a system that encodes has not the precision that is asked for."""
    engine = ENGINES[system.kind]
    if engine.encodes and options.precision not in engine.precisions:
        raise InputError(
            f"{system.name}: --precision {options.precision} is not of this kind of model; it takes "
            f"{' or '.join(engine.precisions)}"
        )


def _engines(system: System) -> Iterator[TextEngine | EncodingEngine | CombiningEngine]:
    """Yield the engines of a system and of all its parts."""
    yield ENGINES[system.kind]
    for part in system.parts:
        yield from _engines(part)
