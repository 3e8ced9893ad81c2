"""What the engines share whose indexes are Lucene's."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.cli.options import IndexingOptions
from repro.engines.protocol import IndexRequest

if TYPE_CHECKING:
    from repro.lucene.indexing import Indexing


class LuceneIndexes:
    """How an engine's Lucene indexes are built, and which can be read."""

    has_impacts = False

    def built(self, building: IndexingOptions) -> dict[str, Any]:
        """Return the manifest's record, all but the indexer."""
        return {"store_raw": bool(building.store_raw), "merge": building.merge is not False}

    def written_by(self) -> dict[str, str]:
        """Return Lucene's version."""
        from repro.lucene.version import lucene_version

        return {"lucene": lucene_version()}

    def unreadable(self, written_by: dict[str, str]) -> str | None:
        """Compare the versions of Lucene."""
        from repro.lucene.version import unreadable

        return unreadable(written_by)

    def merge_indexes(self, parts: Sequence[Path], request: IndexRequest, folder: Path) -> int:
        """Merge indexes of parts of the documents into ``folder``; return the number of documents."""
        from repro.lucene.indexing import merge_indexes

        return merge_indexes(parts, folder, lucene_settings(request), request.manifest)


def lucene_settings(request: IndexRequest) -> "Indexing":
    """Return how a Lucene index is to be built."""
    from repro.lucene.indexing import Indexing

    building = request.building
    merge = building.merge is not False
    return Indexing(request.threads, building.memory, bool(building.store_raw), merge)
