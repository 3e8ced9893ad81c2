"""A model whose queries need no inference, for training: Sentence Transformers' Router.

Documents go through a SPLADE-max model; a query's tokens have static weights (SparseStaticEmbedding), which
begin as idf of the tokens in the passages that are trained on, and are kept or learned with the model.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import SparseEncoder, SparseEncoderTrainingArguments
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

from repro.base.errors import InputError
from repro.base.files import read_json, remove, write_json
from repro.base.progress import bar
from repro.models.router import CONFIG, read_router
from repro.splade.acceleration import accelerated
from repro.splade.sparse_encoder import splade_max
from repro.splade.static_queries import idf
from repro.training.rows import passages_of

if TYPE_CHECKING:
    from datasets import Dataset

SAMPLED = 100_000
"""Rows whose passages are counted."""
CHUNK = 1_000
WEIGHTS = r"sub_modules\.query\.0\.weight$"
"""The static weights, among a model's parameters."""
LEARNING_RATE = 1e-3
"""Of the static weights where they are learned, as in Sentence Transformers' own examples: they are as large
as an idf, and the rate of a transformer's weights would hardly move them."""


def inference_free(documents: SparseEncoder, rows: "Dataset", learned: bool) -> SparseEncoder:
    """Return a model that encodes documents as the SPLADE-max model ``documents`` does, with its very modules
    and accelerated if it is, and queries by the idf that their tokens have in the passages of ``rows``.

    InputError for a model whose output layer has other terms than its tokenizer: the library could save such
    a model but not load it.
    """
    parts = splade_max(documents)
    tokenizer: Any = parts.transformer.tokenizer
    weights = token_weights(tokenizer, rows)
    if len(weights) != parts.layer.out_features:
        raise InputError(
            f"query_encoder: expected a base whose tokenizer has as many ids as its output layer, found "
            f"{len(weights):,} and {parts.layer.out_features:,}"
        )
    static = SparseStaticEmbedding(tokenizer, torch.from_numpy(weights), frozen=not learned)
    router = Router.for_query_document([static], [parts.transformer, parts.pooling])
    model = SparseEncoder(
        modules=[router], device=str(documents.device), similarity_fn_name="dot", trust_remote_code=False
    )
    if accelerated(documents):
        vars(router)["forward"] = partial(_forward, router, documents)
    return model


def route_columns(arguments: SparseEncoderTrainingArguments, columns: Sequence[str], learned: bool) -> None:
    """Have a trainer send the columns of its rows to the model's two sides; ``learned`` weights at a rate of
    their own.
    """
    texts = [column for column in columns if column != "label"]
    arguments.router_mapping = {column: "query" if column == "query" else "document" for column in texts}
    arguments.learning_rate_mapping = {WEIGHTS: LEARNING_RATE} if learned else {}


def token_weights(tokenizer: Any, rows: "Dataset") -> np.ndarray:
    """Return the idf of each token of a vocabulary in the passages of the first ``SAMPLED`` rows (float32).

    Special tokens have none, 0. Passages that are equal count once.
    """
    frequencies = np.zeros(max(tokenizer.get_vocab().values()) + 1, np.int64)  # ids may have gaps
    seen: set[int] = set()
    taken = min(len(rows), SAMPLED)
    with bar(taken, "counting tokens", "rows") as progress:
        for start in range(0, taken, CHUNK):
            part = rows[start : min(start + CHUNK, taken)]
            texts = {hash(text): text for column in passages_of(rows) for text in part[column]}
            new = [text for key, text in texts.items() if key not in seen]
            seen |= texts.keys()
            for ids in tokenizer(new, truncation=True, add_special_tokens=False)["input_ids"] if new else ():
                frequencies[np.unique(np.array(ids, np.int64))] += 1
            progress.update(len(part["query"]))
    weights = idf(len(seen), frequencies)
    weights[tokenizer.all_special_ids] = 0
    return weights.astype(np.float32)


def put_documents_on_top(folder: Path) -> None:
    """Move the SPLADE model that a saved Router has in a subfolder to the folder's top; leave any other.

    There transformers finds it, too, and Sentence Transformers still does: OpenSearch's models are so.
    """
    router, config = read_router(folder), read_json(folder / CONFIG)
    if router is None or config is None or not router.documents:
        return
    for path in (folder / router.documents).iterdir():
        shutil.move(path, folder / path.name)
    remove(folder / router.documents)
    config["types"][""] = config["types"].pop(router.documents)
    config["structure"]["document"][0] = ""
    write_json(folder / CONFIG, config)


def _forward(
    router: Router,
    documents: SparseEncoder,
    features: dict[str, Any],
    task: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Do what ``Router.forward`` does, documents through the accelerated model."""
    if (task or features.get("task")) == "query":
        return Router.forward(router, features, task=task, **options)
    documents.training = router.training
    plain = {name: value for name, value in features.items() if name not in ("task", "modality")}
    features["sentence_embedding"] = documents(plain)["sentence_embedding"]
    return features
