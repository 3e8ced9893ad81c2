"""Encoders of passages: this project's, Sentence Transformers', Pyserini's."""

import itertools
import tempfile
from pathlib import Path

from repro.benchmarks.contest import Contestant
from repro.benchmarks.worker import Work
from repro.cli.options import CollectionOptions
from repro.collections.opening import open_collection
from repro.compiled import native

BATCH_SIZES = (1, 4, 8, 32)


def contestants(
    model: Path, collection: CollectionOptions, limit: int, every: int, threads: int
) -> list[Contestant]:
    """Return ours (exact, with screening off, and inside of a SparseEncoder) and the peers on the same
    passages.

    All that compete take all of them, since rates depend on which passages there are and how many: batches
    are of texts of like length, and of few texts more is padded. Only those in bfloat16, which are slow and
    compete with nobody, take every ``every``-th passage.
    """
    texts = {"collection": collection.collection, "split": collection.split, "limit": limit}
    common = {"model": str(model), **texts, "threads": threads}
    found = [
        Contestant("repro, exact", f"{__name__}:repro", {**common, "precision": "exact"}, ours=True),
        Contestant("repro, float32", f"{__name__}:repro", {**common, "precision": "float32"}, rival=False),
    ]
    slower = {level: f"{level.upper()} kernels" for level in slower_levels()}
    for level, name in {**slower, "0": "no compiled kernels"}.items():
        environment = {"REPRO_NATIVE": level}
        settings = {**common, "precision": "exact"}
        found.append(
            Contestant(
                f"repro, exact, {name}", f"{__name__}:repro", settings, rival=False, environment=environment
            )
        )
    st = f"{__name__}:sentence_transformers"
    settings = {**common, "batch_size": 32, "dtype": "float32", "accelerated": True}
    found.append(Contestant("SparseEncoder, accelerated", st, settings, rival=False))
    for size in BATCH_SIZES:
        settings = {**common, "batch_size": size, "dtype": "float32"}
        found.append(Contestant(f"SparseEncoder, float32, batch {size}", st, settings))
    for size in BATCH_SIZES:
        settings = {**common, "every": every, "batch_size": size, "dtype": "bfloat16"}
        found.append(Contestant(f"SparseEncoder, bfloat16, batch {size}", st, settings, rival=False))
    onnx = {**common, "batch_size": 32, "dtype": "float32", "backend": "onnx"}
    found.append(Contestant("SparseEncoder, ONNX, batch 32", st, onnx))
    found.append(
        Contestant("pyserini.encode, batch 64", f"{__name__}:pyserini", {**common, "batch_size": 64})
    )
    return found


def slower_levels() -> list[str]:
    """Return the levels of compiled kernels that run here, but for the one in use and better ones."""
    if (best := native.kernels()) is None:
        return []
    later = native.LEVELS[native.LEVELS.index(best.level) + 1 :]
    return [level for level in later if native.open_kernels(level) is not None]


def repro(model: str, collection: str, split: str | None, limit: int, threads: int, precision: str) -> Work:
    """This project's encoder, on all passages."""
    from repro.splade.encoder import SpladeEncoder

    texts = passages(collection, split, limit)
    encoder = SpladeEncoder(Path(model), threads, precision, device="cpu")
    return lambda: encoder.encode(texts).shape[0]


def sentence_transformers(
    model: str,
    collection: str,
    split: str | None,
    limit: int,
    threads: int,
    batch_size: int,
    dtype: str,
    every: int = 1,
    backend: str = "torch",
    accelerated: bool = False,
) -> Work:
    """``SparseEncoder.encode`` with its own settings; it sorts by length, too."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from repro.splade.acceleration import accelerate

    torch.set_num_threads(threads)
    texts = passages(collection, split, limit, every)
    body = Transformer(
        str(model),
        transformer_task="fill-mask",
        model_kwargs={"dtype": dtype} if backend == "torch" else {},
        backend=backend,
    )
    encoder = SparseEncoder(modules=[body, SpladePooling("max")], device="cpu")
    if accelerated:
        accelerate(encoder)
    return lambda: len(encoder.encode(texts, batch_size=batch_size, show_progress_bar=False))


def pyserini(
    model: str, collection: str, split: str | None, limit: int, threads: int, batch_size: int
) -> Work:
    """``pyserini.encode``'s SPLADE document encoder at the batch size of its command line."""
    from repro.lucene.pyserini import prepare_pyserini

    prepare_pyserini()
    import torch
    from pyserini.encode import SpladeDocumentEncoder

    from repro.models.links import link

    torch.set_num_threads(threads)
    texts = passages(collection, split, limit)
    batches = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
    with tempfile.TemporaryDirectory() as folder:
        link(Path(model), Path(folder), binary=True)
        encoder = SpladeDocumentEncoder(folder, device="cpu")

    def work() -> int:
        with torch.inference_mode():
            return sum(len(encoder.encode(batch)) for batch in batches)

    return work


def passages(collection: str, split: str | None, limit: int, every: int = 1) -> list[str]:
    """Return every ``every``-th of a collection's first ``limit`` texts."""
    documents = itertools.islice(open_collection(collection, split).documents(), limit)
    return [document.text for document in itertools.islice(documents, 0, None, every)]
