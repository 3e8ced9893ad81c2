"""Impact indexing: this project's indexer and Anserini's, on the same vectors, into the same index."""

from collections.abc import Callable
from pathlib import Path

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Figures, Work

NAMES = {"repro": "repro", "anserini": "Anserini, IndexCollection"}


def contestants(vectors: Path, documents: int, place: Path, threads: int, memory: int) -> list[Contestant]:
    """Return both; each turn builds a whole index of one segment in a folder below ``place``."""
    settings = {"vectors": str(vectors), "documents": documents, "threads": threads, "memory": memory}
    return [
        Contestant(
            name, f"{__name__}:{key}", {**settings, "index": str(folder(place, key))}, ours=key == "repro"
        )
        for key, name in NAMES.items()
    ]


def folder(place: Path, contestant: str) -> Path:
    """Return where a contestant's index is left."""
    return place / f"index.{contestant}"


def repro(vectors: str, index: str, documents: int, threads: int, memory: int) -> Work:
    """This project's indexer."""
    from repro.lucene.indexing import Indexing, build_impact_index

    settings = Indexing(threads, memory)
    return _timed(index, lambda to: build_impact_index(Path(vectors), to, documents, settings, {}))


def anserini(vectors: str, index: str, documents: int, threads: int, memory: int) -> Work:
    """Anserini's indexer, with the heap that it gets without us (half the machine's memory, at most 8 GB)."""
    from repro.lucene.indexing import Indexing, build_impact_index_with_anserini

    settings = Indexing(threads, memory)
    return _timed(index, lambda to: build_impact_index_with_anserini(Path(vectors), to, documents, settings))


def _timed(index: str, build: Callable[[Path], dict[str, int]]) -> Work:
    from repro.base.files import folder_bytes, remove

    def work() -> tuple[int, Figures]:
        remove(Path(index))
        Path(index).mkdir(parents=True)
        documents = build(Path(index))["documents"]
        return documents, {"index MB": round(folder_bytes(Path(index)) / 1e6, 1)}

    return work
