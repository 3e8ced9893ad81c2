"""Impact vectors in Anserini's JSON form (``JsonVectorCollection``), in gzip shards.

A line is ``{"id": "...", "contents": "...", "vector": {"term": impact}}``, impacts integers from 1 up.
"""

import gzip
import io
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from repro.base.errors import InputError
from repro.base.records import numbered_lines, parse_object

SHARD_DOCUMENTS = 100_000
BEFORE_ID, AFTER_ID = '{"id":', ',"contents":'


class ImpactVector(NamedTuple):
    """A document or query as terms with integer impacts; ``contents`` is the text it was made from."""

    id: str
    contents: str
    vector: dict[str, int]


def strongest(vector: dict[str, int], terms: int | None) -> dict[str, int]:
    """Return the ``terms`` greatest impacts, equal ones in alphabetical order; None keeps all."""
    if terms is None or len(vector) <= terms:
        return vector
    return dict(sorted(vector.items(), key=lambda item: (-item[1], item[0]))[:terms])


def write_shard(path: Path, vectors: Iterable[ImpactVector]) -> None:
    """Write a gzip shard under a temporary name and rename it when whole; equal vectors give equal bytes."""
    temporary = path.with_name(path.name + ".tmp")
    with (
        open(temporary, "wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,  # no name and no time in it
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
    ):
        for vector in vectors:
            file.write(json.dumps(vector._asdict(), ensure_ascii=False, separators=(",", ":")) + "\n")
    os.replace(temporary, path)


def write_shards(folder: Path, vectors: Iterable[ImpactVector]) -> None:
    """Write vectors to a folder, SHARD_DOCUMENTS a shard."""
    vectors = iter(vectors)
    for number, first in enumerate(vectors):
        rest = itertools.islice(vectors, SHARD_DOCUMENTS - 1)
        write_shard(shard_path(folder, number), itertools.chain([first], rest))


def shard_path(folder: Path, number: int) -> Path:
    """Return where shard ``number`` of a folder lies."""
    return folder / f"part-{number:05d}.jsonl.gz"


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder of impact vectors, in order."""
    return sorted(folder.glob("part-*.jsonl.gz"))


def read_vectors(folder: Path) -> Iterator[ImpactVector]:
    """Stream all vectors of a folder; InputError if it holds none, or a line not in Anserini's form."""
    shards = shard_paths(folder)
    if not shards:
        raise InputError(
            f"{folder} holds no impact vectors (part-*.jsonl.gz); make them with python -m repro.encode"
        )
    for path in shards:
        for number, line in numbered_lines(path):
            yield _vector(line, f"{path}, line {number}")


def read_selected(folder: Path, ids: Collection[str]) -> Iterator[ImpactVector]:
    """Yield the vectors of some ids, in the folder's order; InputError for a damaged one.

    Only their lines are parsed: an id ends where ``write_shard`` begins with the contents. Reading ends with
    the last of them.
    """
    sought = {json.dumps(identifier, ensure_ascii=False) for identifier in ids}
    for path in shard_paths(folder):
        for number, line in numbered_lines(path):
            if not sought:
                return
            identifier = line[len(BEFORE_ID) : line.find(AFTER_ID)]
            if identifier in sought:
                sought.remove(identifier)
                yield _vector(line, f"{path}, line {number}")


def _vector(line: str, where: str) -> ImpactVector:
    record = parse_object(line, where)
    identifier, contents, vector = record.get("id"), record.get("contents", ""), record.get("vector")
    if not isinstance(identifier, str) or not isinstance(contents, str) or not isinstance(vector, dict):
        raise InputError(f'{where}: expected {{"id": ..., "contents": ..., "vector": {{term: impact}}}}')
    if not set(map(type, vector.values())) <= {int} or min(vector.values(), default=1) < 1:
        raise InputError(f"{where}: expected impacts that are integers from 1 up")
    return ImpactVector(identifier, contents, vector)
