"""Encode texts into dense vectors with Sentence Transformers, as a model's card prescribes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.models.systems import System
from repro.models.weights import UNLOADABLE


class DenseEncoder:
    """A dense model in a local folder. With ``system.pooling`` set, the entry decides on pooling and normalisation;
    without it (a model that a user names), the folder's own modules and prompts do.
    """

    def __init__(self, folder: Path, system: System, threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        disable_progress_bar()  # of transformers, for loading weights
        self.system = system
        try:
            self.model = _load(folder, system)
        except UNLOADABLE as error:
            raise InputError(f"{folder} does not load as a dense encoder ({error})") from error

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors, texts x dimensions."""
        return self._encode(texts, self.system.max_length, self.system.passage_prefix, "document")

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors, texts x dimensions."""
        return self._encode(texts, self.system.query_max_length, self.system.query_prefix, "query")

    def _encode(self, texts: Sequence[str], max_length: int, prefix: str, prompt: str) -> np.ndarray:
        limit = self.model[0].auto_model.config.max_position_embeddings
        if self.system.pooling is None:
            own = prompt if prompt in self.model.prompts else None
            return self.model.encode(
                list(texts), prompt_name=own, convert_to_numpy=True, show_progress_bar=False
            )
        self.model.max_seq_length = min(max_length, limit)
        return self.model.encode(
            [prefix + text for text in texts], convert_to_numpy=True, show_progress_bar=False
        )


def _load(folder: Path, system: System) -> SentenceTransformer:
    if system.pooling is None:
        return SentenceTransformer(str(folder), device="cpu" if not torch.cuda.is_available() else None)
    body = Transformer(str(folder))
    modules = [body, Pooling(body.get_embedding_dimension(), pooling_mode=system.pooling)]
    if system.normalise:
        modules.append(Normalize())
    return SentenceTransformer(modules=modules)
