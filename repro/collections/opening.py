"""From what ``--collection`` names to a collection: ``sample``, an ir_datasets id, or a BEIR folder."""

from pathlib import Path

from repro.base.errors import InputError
from repro.collections.beir import BeirFolder
from repro.collections.labels import label
from repro.collections.model import Collection

SAMPLE = Path(__file__).parent / "sample"
DEFAULT_SPLIT = "test"


def open_collection(
    spec: str, split: str | None = None, work: Path | None = None, claim: bool = True
) -> Collection:
    """Open what ``--collection spec --split split`` names.

    With ``work``, its names there are its own (``labels``) and are kept, unless ``claim`` is False; then
    nothing is written. InputError if it is none of the three kinds, or has no such split.
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
    folder = Path(spec)
    if folder.is_dir():
        source, owner = _folder(folder, split), {"folder": str(folder.resolve())}
        corpus = label(folder.resolve().name, owner, work, claim)
        name = label(f"{corpus}-{source.split}", {**owner, "split": source.split}, work, claim)
        return Collection(name, corpus, source)
    if spec.startswith((".", "/", "~")) or spec.endswith("/"):
        raise InputError(f"--collection {spec}: there is no such folder; give one in BEIR's layout")
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


def _folder(folder: Path, split: str | None) -> BeirFolder:
    """Return a split of a folder; InputError, before any work is done, if it was asked for and is missing."""
    source = BeirFolder(folder, split or DEFAULT_SPLIT)
    if split is not None:
        source.qrels_file()
    return source
