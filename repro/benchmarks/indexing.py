"""Impact indexing: this project's indexer and Anserini's, on the same vectors, into the same index."""

from collections.abc import Callable
from pathlib import Path

from repro.benchmarks.contest import Contestant

NAMES = {"repro": "repro", "anserini": "Anserini, IndexCollection"}


def contestants(vectors: Path, documents: int, work: Path, threads: int, memory: int) -> list[Contestant]:
    """Return both; each turn builds a whole index of one segment in a folder below ``work``."""
    settings = {"vectors": str(vectors), "documents": documents, "threads": threads, "memory": memory}
    return [
        Contestant(
            name, f"indexing:{key}", {**settings, "index": str(folder(work, key))}, ours=key == "repro"
        )
        for key, name in NAMES.items()
    ]


def folder(work: Path, contestant: str) -> Path:
    """Return where a contestant's index is left."""
    return work / "bench" / f"index.{contestant}"


def repro(vectors: str, index: str, documents: int, threads: int, memory: int) -> Callable[[], tuple]:
    """This project's indexer."""
    from repro.lucene.indexing import Indexing, build_impact_index

    how = Indexing(threads, memory)
    return _timed(index, lambda to: build_impact_index(Path(vectors), to, documents, how, {}))


def anserini(vectors: str, index: str, documents: int, threads: int, memory: int) -> Callable[[], tuple]:
    """Anserini's indexer, with the heap that it gets without us (half the machine's memory, at most 8 GB)."""
    from repro.lucene.indexing import Indexing, build_impact_index_with_anserini

    how = Indexing(threads, memory)
    return _timed(index, lambda to: build_impact_index_with_anserini(Path(vectors), to, documents, how))


def _timed(index: str, build: Callable[[Path], dict]) -> Callable[[], tuple]:
    from repro.base.files import folder_bytes, remove

    def work() -> tuple[int, dict]:
        remove(Path(index))
        Path(index).mkdir(parents=True)
        documents = build(Path(index))["documents"]
        return documents, {"index MB": round(folder_bytes(Path(index)) / 1e6, 1)}

    return work
