"""Progress of long work: a bar with a rate and an ETA on stderr, nothing when stderr is not a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(total: int | None, task: str, unit: str) -> tqdm:
    """Return a tqdm bar to be used as a context manager; ``total`` counts ``unit``s, None if unknown."""
    return tqdm(total=total, desc=task, unit=f" {unit}", file=sys.stderr, disable=not sys.stderr.isatty())


def track(items: Iterable[T], total: int | None, task: str, unit: str) -> Iterator[T]:
    """Yield ``items`` while a bar counts them."""
    with bar(total, task, unit) as progress:
        for item in items:
            yield item
            progress.update()


def note(message: str) -> None:
    """Print one line for the user to stderr; stdout is kept for results."""
    print(message, file=sys.stderr, flush=True)
