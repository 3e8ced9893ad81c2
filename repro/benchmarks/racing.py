"""A stage's race: the contestants that were asked for, their contest, the check of what they made, the
table.
"""

from collections.abc import Callable
from typing import Any

from repro.benchmarks import contest
from repro.benchmarks.request import BenchRequest
from repro.report.markdown import race_table

Record = dict[str, Any]
"""What a stage found, as JSON."""


def race(
    request: BenchRequest,
    contestants: list[contest.Contestant],
    unit: str,
    check: Callable[[], Record] = dict,
    alone: bool = False,
    warm: bool = True,
    rounds: int | None = None,
    **facts: Any,
) -> tuple[Record, str]:
    """Run those of the contestants that --only names, and ours; return the record and the table.

    ``check`` compares what they made; ``alone`` and ``warm`` as in ``contest.run``; ``rounds`` takes the
    place of --rounds.
    """
    request.check_names([one.name for one in contestants])
    racers = [one for one in contestants if one.ours or request.takes(one.name)]
    results = contest.run(racers, rounds or request.options.rounds, request.work.threads, alone, warm)
    facts = {"system": request.label, "threads": request.work.threads, "unit": unit, **facts, **check()}
    record = contest.report(request.stage, request.collection.collection, results, **facts)
    return record, race_table(record)
