"""From what ``--collection`` names to a collection: ``sample``, an ir_datasets id, or a BEIR folder."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from repro.base.errors import InputError
from repro.collections.beir import BeirFolder
from repro.collections.labels import LONGEST, Owner, label
from repro.collections.model import Collection

SAMPLE = Path(__file__).parent / "sample"
DEFAULT_SPLIT = "test"
CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
"""What a folder's corpus is called; the first that is there is read."""
SHORT_NAMES = {f"dl{year}": f"trec-dl-20{year}/judged" for year in (19, 20, 21, 22)}
"""Query sets of TREC's Deep Learning tracks, as ir_datasets calls them below their corpus."""
LONGEST_JOINT = 2 * LONGEST
"""Bytes of the name of several query sets together."""


def open_collection(
    spec: str, split: str | None = None, work: Path | None = None, claim: bool = True
) -> Collection:
    """Open what ``--collection spec --split split`` names.

    With ``work``, its names there are its own (``labels``) and are kept, unless ``claim`` is False; then
    nothing is written. A folder whose corpus is a link to another folder's has its name for the corpus, so
    that what was made of one serves the other. InputError if it is none of the three kinds, or has no such
    split.
    """
    if spec == "sample":
        source, owner = _folder(SAMPLE, split), {"sample": "sample"}
        default = source.split == DEFAULT_SPLIT
        name = (
            "sample"
            if default
            else label(f"sample-{source.split}", {**owner, "split": source.split}, work, claim)
        )
        return Collection(name, "sample", source)
    if is_folder(spec):
        folder = Path(spec)
        source = _folder(folder, split)
        own = folder_label(folder, work, claim)
        name = label(f"{own}-{source.split}", {**_owner(folder), "split": source.split}, work, claim)
        return Collection(name, _corpus_label(folder, work, claim), source)
    if split is not None:
        raise InputError(
            f"--split is for BEIR folders and the sample; the ir_datasets id {spec} names its own split"
        )
    from repro.collections.irds import IrDataset

    dataset = IrDataset(spec)
    name, corpus = (
        label(identifier, {"ir_datasets": identifier}, work, claim)
        for identifier in (spec, dataset.corpus_id)
    )
    return Collection(name, corpus, dataset)


def query_set(spec: str, topics: str) -> tuple[str, str | None]:
    """Return what names the query set ``topics`` of a corpus: the collection and the split to be opened.

    A split of a folder or of the sample, or an ir_datasets id below ``spec``, whose TREC Deep Learning tracks
    have SHORT_NAMES. InputError for a folder that is not there.
    """
    if spec == "sample" or is_folder(spec):
        return spec, topics
    return f"{spec}/{SHORT_NAMES.get(topics, topics)}", None


def joint_label(spec: str, sets: Sequence[Collection], work: Path) -> str:
    """Return the name of several query sets of ``spec`` together, in whatever order: the first one's, then
    what tells the others from their folder or corpus, as ``msmarco-mini-dl19+dl20``.

    No other collection's name has a plus in it.
    """
    folder = spec != "sample" and is_folder(spec)
    own = folder_label(Path(spec), work, claim=False) if folder else sets[0].corpus
    first, *others = sorted(of.name for of in sets)
    name = "+".join([first, *(other.removeprefix(f"{own}-") for other in others)])
    if len(name.encode()) <= LONGEST_JOINT:
        return name
    return f"{first}+{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def is_folder(spec: str) -> bool:
    """Tell whether ``--collection spec`` is a folder; InputError if it can only be one and is not there."""
    if Path(spec).is_dir():
        return True
    if spec.startswith((".", "/", "~")) or spec.endswith("/"):
        raise InputError(f"--collection {spec}: there is no such folder; give one in BEIR's layout")
    return False


def folder_label(folder: Path, work: Path | None, claim: bool = True) -> str:
    """Return the label in ``work`` of a folder, whatever its corpus is; with ``claim``, it is kept."""
    return label(folder.resolve().name, _owner(folder), work, claim)


def corpus_file(folder: Path) -> Path | None:
    """Return the file that is a folder's corpus: its own, or the one that this links to; None if it has none.

    Links are followed to the last file of the same name that is the corpus of the folder where it lies. A
    file of another name, as in the Hub's cache, is no collection's.
    """
    place = _corpus_in(folder.resolve())
    if place is None:
        return None
    file = place
    while place.is_symlink():
        target = place.parent / place.readlink()
        place = target.parent.resolve() / target.name
        if place.name == file.name and place == _corpus_in(place.parent):
            file = place
    return file


def _corpus_in(folder: Path) -> Path | None:
    return next((folder / name for name in CORPUS if (folder / name).is_file()), None)


def _corpus_label(folder: Path, work: Path | None, claim: bool) -> str:
    """Return the label of the folder where a folder's corpus lies."""
    file = corpus_file(folder)
    home = file.parent if file else folder
    return "sample" if home == SAMPLE.resolve() else folder_label(home, work, claim)


def _owner(folder: Path) -> Owner:
    return {"folder": str(folder.resolve())}


def _folder(folder: Path, split: str | None) -> BeirFolder:
    """Return a split of a folder; InputError, before any work is done, if it was asked for and is missing."""
    source = BeirFolder(folder, split or DEFAULT_SPLIT)
    if split is not None:
        source.qrels_file()
    return source
