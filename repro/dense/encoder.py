"""Encode texts into dense vectors with Sentence Transformers, as a model's card prescribes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from repro.base.errors import InputError
from repro.compiled import native
from repro.compiled.windows import NotPlainError
from repro.dense.unpadded import accelerate, release
from repro.models.folder import first_line, module_paths
from repro.models.systems import System
from repro.models.weights import UNLOADABLE


class DenseEncoder:
    """A dense model in a local folder, ready to encode.

    With ``system.pooling`` set, the entry decides on pooling, prefixes and lengths; without it (a model that
    a user names), the folder's own modules and prompts do. ``compiled`` tells whether the layers are this
    project's own, which ``unpadded`` says of which models; others are computed by Sentence Transformers.
    ``parameters`` is their number. With ``int8``, the layers' products are of rounded numbers, for documents
    and queries alike (``compiled/linear.py``).

    Raises InputError if the folder does not load, lacks weights or a tokenizer, or has weights that are not
    finite, or with ``int8`` if the layers are not this project's own; encoding does for a text with tokens or
    a length that the model has no embeddings of.
    """

    def __init__(self, folder: Path, system: System, threads: int | None = None, int8: bool = False) -> None:
        if threads:
            torch.set_num_threads(threads)
        disable_progress_bar()  # of transformers, for loading weights
        set_verbosity_error()  # what it warns of is refused
        self.folder, self.system = folder, system
        try:
            self.model = load(folder, system)
        except UNLOADABLE as error:
            raise InputError(f"{folder} does not load as a dense encoder ({first_line(error)})") from error
        _check(self.model, folder)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.compiled = accelerate(self.model, threads, int8)
        if int8 and not self.compiled:
            raise InputError(f"{folder}: --precision int8 is of compiled layers, and {_why_not()}")
        if self.compiled and self.model.tokenizer.num_special_tokens_to_add():
            # Else the layers' weights would be in memory twice. Without special tokens an empty text has no
            # token at all, and is the library's.
            release(self.model)
        vars(self.model)["preprocess"] = partial(_tokens, self.model, folder)

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors, texts x dimensions; InputError if one is not finite."""
        if self.system.pooling is None:
            return self._vectors(self.model.encode_document, texts)
        return self._encode(texts, self.system.max_length, self.system.passage_prefix)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors, texts x dimensions; InputError if one is not finite."""
        if self.system.pooling is None:
            return self._vectors(self.model.encode_query, texts)
        return self._encode(texts, self.system.query_max_length, self.system.query_prefix)

    def _encode(self, texts: Sequence[str], max_length: int, prefix: str) -> np.ndarray:
        """Encode as the table's entry prescribes, texts no longer than the model has positions."""
        positions = getattr(self.model[0].config, "max_position_embeddings", max_length)
        self.model.max_seq_length = min(max_length, positions)
        return self._vectors(self.model.encode, [prefix + text for text in texts])

    def _vectors(self, encode: Callable[..., np.ndarray], texts: Sequence[str]) -> np.ndarray:
        try:
            vectors = encode(list(texts), show_progress_bar=False)
        except NotPlainError as error:  # the tokenizer makes something else of a text than of others
            raise InputError(f"{self.folder}: the tokenizer cannot take a text ({error})") from error
        if not np.isfinite(vectors).all():
            raise InputError(
                f"{self.folder} makes vectors that are not finite: its weights are too large, or damaged"
            )
        return vectors.astype(np.float32, copy=False)


def _why_not() -> str:
    """Return why a model's layers are not computed here, as a clause."""
    if (choice := native.choose()).kernels is None:
        return f"there are no compiled kernels here ({choice.reason}); leave it out"
    return (
        "this model has none: BERT and DistilBERT with heads of 32 or 64 and GELU, pooled by mean or [CLS], "
        "have; leave it out"
    )


def load(
    folder: Path, system: System, dtype: str | None = None, device: str | None = None
) -> SentenceTransformer:
    """Load a model as Sentence Transformers has it, in ``dtype`` (default: the folder's own), on ``device``.

    Its own Python is never run, and nothing is fetched that its checksum does not cover. Raises UNLOADABLE.
    """
    device = device or (None if torch.cuda.is_available() else "cpu")
    kwargs = {"dtype": dtype} if dtype else {}
    if system.pooling is None:
        return SentenceTransformer(
            str(folder), device=device, model_kwargs=kwargs, trust_remote_code=False, local_files_only=True
        )
    local = {"trust_remote_code": False, "local_files_only": True}
    body = Transformer(
        str(folder), model_kwargs={**local, **kwargs}, processor_kwargs=local, config_kwargs=local
    )
    modules = [body, Pooling(body.get_embedding_dimension(), pooling_mode=system.pooling)]
    if system.normalise:
        modules.append(Normalize())
    return SentenceTransformer(modules=modules, device=device)


def _check(model: SentenceTransformer, folder: Path) -> None:
    """Raise InputError for what libraries load with a warning at most, and that makes vectors of nothing."""
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(
                f"{folder}: the weights of {name} are not all finite; fetch or train the model again"
            )
    for module, part in zip(model, module_paths(folder)):
        if not isinstance(module, Transformer):
            continue
        if missing := _missing(module.model, folder, part):
            raise InputError(f"{folder} lacks weights of the model: {', '.join(missing[:3])}")
        tokenizer = module.tokenizer
        if isinstance(tokenizer, PreTrainedTokenizerBase) and _is_empty(tokenizer):
            raise InputError(f"{folder} has no tokenizer: expected tokenizer.json, or the vocabulary's file")


def _tokens(model: SentenceTransformer, folder: Path, texts: list[str], **options: Any) -> dict[str, Any]:
    """Do what ``model.preprocess`` does; InputError for what the model has no embeddings of."""
    features = SentenceTransformer.preprocess(model, texts, **options)
    ids, body = features.get("input_ids"), getattr(model[0], "model", None)
    if not isinstance(ids, torch.Tensor) or not isinstance(body, PreTrainedModel) or not ids.numel():
        return features
    words = body.get_input_embeddings()
    if isinstance(words, nn.Embedding) and (highest := int(ids.max())) >= words.num_embeddings:
        raise InputError(
            f"{folder}: the tokenizer gives id {highest}, but the model has {words.num_embeddings} "
            "embeddings; the two do not belong together"
        )
    positions = _positions(body)
    if positions is not None and ids.shape[1] > positions:
        raise InputError(
            f"{folder}: a text has {ids.shape[1]} tokens, but the model has {positions} positions; set "
            f"max_seq_length in sentence_bert_config.json to {positions}"
        )
    return features


def _positions(body: PreTrainedModel) -> int | None:
    """Return how many positions have an embedding; None if positions are told in another way.

    Those of RoBERTa's kin begin after the one of padding.
    """
    for name, module in body.named_modules():
        if name.endswith("embeddings.position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None


def _is_empty(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether there are special tokens only, as in what transformers makes up without a vocabulary."""
    return len(tokenizer) <= len(tokenizer.all_special_tokens)


def _missing(body: PreTrainedModel, folder: Path, part: str) -> list[str]:
    """Return the weights that transformers replaced by random numbers, a pooler's aside: nothing uses it."""
    loaded = type(body).from_pretrained(
        folder,
        subfolder=part,
        config=body.config,
        device_map="meta",  # nothing is loaded, only looked for
        output_loading_info=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    _, loading = cast(tuple[PreTrainedModel, dict[str, set[str]]], loaded)
    return sorted(key for key in loading["missing_keys"] if not key.startswith("pooler."))
