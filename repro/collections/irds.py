"""Collections of ir_datasets, by their ids, e.g. ``msmarco-passage/dev/small``."""

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ir_datasets

from repro.base.errors import InputError
from repro.collections.model import (
    Document,
    Judgment,
    Qrels,
    Query,
    State,
    check_id,
    clean,
    collect_judgments,
)


@dataclass(frozen=True)
class IrDataset:
    """The documents, queries and qrels of one ir_datasets id.

    ir_datasets repairs MS MARCO's doubly encoded characters (``fix_this``); the text read here is the
    repaired one. InputError if it knows no such id, or cannot fetch or read a part.
    """

    id: str
    local = False

    def __post_init__(self) -> None:
        try:
            _ = self.dataset
        except KeyError:
            raise InputError(
                f"--collection {self.id}: neither 'sample', nor a folder, nor an id that ir_datasets knows "
                "(they are listed at ir-datasets.com and by `ir_datasets list`)"
            ) from None

    @cached_property
    def dataset(self) -> ir_datasets.Dataset:
        """The ir_datasets object."""
        return ir_datasets.load(self.id)

    @property
    def corpus_id(self) -> str:
        """The id whose documents this one shares: ``msmarco-passage`` of ``msmarco-passage/dev/small``."""
        self._require("docs")
        return ir_datasets.docs_parent_id(self.id)

    def documents(self) -> Iterator[Document]:
        """Stream the documents: title, a blank and text if they have these fields, else the default text."""
        for record in self._part("docs"):
            text = getattr(record, "text", None)
            if isinstance(text, str):
                text = f"{getattr(record, 'title', None) or ''} {text}"
            else:
                text = record.default_text()
            yield Document(check_id(record.doc_id, self.id), clean(text))

    def queries(self) -> Iterator[Query]:
        """Stream the queries, by ir_datasets' default text."""
        for record in self._part("queries"):
            yield Query(check_id(record.query_id, self.id), clean(record.default_text()))

    def qrels(self) -> Qrels:
        """Read the judgments."""
        where = f"--collection {self.id}"
        return collect_judgments(
            Judgment(where, record.query_id, record.doc_id, int(record.relevance))
            for record in self._part("qrels")
        )

    def state(self) -> State:
        """Return the corpus id and the version of ir_datasets, which fixes the source and its checksums."""
        return {"ir_datasets": ir_datasets.__version__, "corpus": self.corpus_id}

    def official_measures(self) -> list[str]:
        """Return the measures in ir_datasets' documentation of this id, if it has one."""
        documentation = getattr(self.dataset, "documentation", None)
        return list((documentation() or {}).get("official_measures", [])) if documentation else []

    def stated_documents(self) -> int | None:
        """Return how many documents ir_datasets' own metadata state; None if they state nothing."""
        return self._stated("docs")

    def stated_queries(self) -> tuple[int, bool] | None:
        """Return how many queries the metadata state, and whether it is known that all of these are judged.

        They are those of ``<id>/judged`` where there is such an id, of which there are no others. Of an id
        whose own queries are counted, there are no more judged ones than that, nor than judgments.
        """
        with contextlib.suppress(KeyError):
            if (judged := _counts(ir_datasets.load(f"{self.id}/judged")).get("queries")) is not None:
                return judged, True
        queries, judgments = self._stated("queries"), self._stated("qrels")
        if queries is None or self.id.endswith("/judged"):
            return None if queries is None else (queries, True)
        return (queries if judgments is None else min(queries, judgments)), False

    def documents_at_hand(self) -> bool:
        """Tell whether the documents' file lies on this machine, as far as ir_datasets says where.

        Handlers of documents in several files have no such path, or one that cannot be had without fetching.
        """
        self._require("docs")
        path = getattr(self.dataset.docs_handler(), "docs_path", None)
        if path is None or "force" not in inspect.signature(path).parameters:
            return False
        try:
            return Path(path(force=False)).exists()
        except FileNotFoundError:  # documents that come by post, and whose folder nobody has linked yet
            return False

    def _stated(self, part: str) -> int | None:
        return _counts(self.dataset).get(part)

    def _require(self, part: str) -> None:
        if not getattr(self.dataset, f"has_{part}")():
            raise InputError(
                f"--collection {self.id}: this ir_datasets id has no {part}; choose one that has"
            )

    def _part(self, part: str) -> Iterator[Any]:
        """Yield the records of a part. What fails in fetching and reading it depends on the data set."""
        self._require(part)
        try:
            yield from getattr(self.dataset, f"{part}_iter")()
        except Exception as error:  # of networks, checksums, packages that are not installed, parsers
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"--collection {self.id}: ir_datasets cannot fetch or read its {part} ({reason[:300]})"
            ) from error


def _counts(dataset: ir_datasets.Dataset) -> dict[str, int]:
    """Return how many documents, queries and qrels ir_datasets' metadata state, as far as they do."""
    metadata = getattr(dataset, "metadata", None)
    stated = (metadata() or {}) if metadata else {}
    return {part: facts["count"] for part, facts in stated.items() if isinstance(facts.get("count"), int)}
