"""Impact vectors in Anserini's JSON form (``JsonVectorCollection``), in gzip shards.

A line is ``{"id": "...", "contents": "...", "vector": {"term": impact}}``, impacts integers from 1 up.
"""

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from repro.base.errors import InputError

SHARD_DOCUMENTS = 100_000


class ImpactVector(NamedTuple):
    """A document or query as terms with integer impacts; ``contents`` is the text it was made from."""

    id: str
    contents: str
    vector: dict[str, int]


def strongest(vector: dict[str, int], terms: int | None) -> dict[str, int]:
    """Return a vector's ``terms`` greatest impacts, of equal ones the first in alphabetical order; None keeps all."""
    if terms is None or len(vector) <= terms:
        return vector
    return dict(sorted(vector.items(), key=lambda item: (-item[1], item[0]))[:terms])


def write_shard(path: Path, vectors: Iterable[ImpactVector]) -> None:
    """Write one gzip shard under a temporary name and rename it when whole."""
    temporary = path.with_name(path.name + ".tmp")
    with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1, newline="\n") as file:
        for vector in vectors:
            file.write(json.dumps(vector._asdict(), ensure_ascii=False, separators=(",", ":")) + "\n")
    os.replace(temporary, path)


def shard_path(folder: Path, number: int) -> Path:
    """Return where shard ``number`` of a folder lies."""
    return folder / f"part-{number:05d}.jsonl.gz"


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder of impact vectors, in order."""
    return sorted(folder.glob("part-*.jsonl.gz"))


def read_vectors(folder: Path) -> Iterator[ImpactVector]:
    """Stream all vectors of a folder; InputError if it holds none, or a line is not in Anserini's form."""
    shards = shard_paths(folder)
    if not shards:
        raise InputError(
            f"{folder} holds no impact vectors (part-*.jsonl.gz); make them with python -m repro.encode"
        )
    for path in shards:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    yield ImpactVector(record["id"], record.get("contents", ""), record["vector"])
                except (json.JSONDecodeError, KeyError, TypeError):
                    raise InputError(
                        f'{path}, line {number}: expected {{"id": ..., "contents": ..., "vector": {{term: impact}}}}'
                    ) from None
