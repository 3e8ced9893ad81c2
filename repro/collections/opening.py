"""From what a user gives to ``--collection`` to a collection: ``sample``, an ir_datasets id, or a BEIR folder."""

from pathlib import Path

from repro.base.errors import InputError
from repro.base.files import file_name
from repro.collections.beir import BeirFolder
from repro.collections.model import Collection

SAMPLE = Path(__file__).parent / "sample"


def open_collection(spec: str, split: str | None = None, work: Path | None = None) -> Collection:
    """Open what ``--collection spec --split split`` names; InputError if it is neither of the three kinds."""
    if spec == "sample":
        split = split or "test"
        return Collection(
            "sample" if split == "test" else f"sample-{split}", "sample", BeirFolder(SAMPLE, split)
        )
    folder = Path(spec)
    if folder.is_dir():
        split = split or "test"
        corpus = file_name(folder.resolve().name)
        return Collection(f"{corpus}-{split}", corpus, BeirFolder(folder, split))
    if spec.startswith((".", "/", "~")) or spec.endswith("/"):
        raise InputError(f"--collection {spec}: there is no such folder; give one in BEIR's layout")
    if split is not None:
        raise InputError(
            f"--split is for BEIR folders and the sample; the ir_datasets id {spec} names its own split"
        )
    from repro.collections.irds import IrDataset

    source = IrDataset(spec)
    return Collection(file_name(spec), file_name(source.corpus_id), source)
