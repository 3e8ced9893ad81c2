"""Cross-encoders: a query and a passage read together, and one score of both, by Sentence Transformers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.systems import MAX_LENGTH
from repro.models.weights import UNLOADABLE

BATCH = 64


class PairScorer:
    """A loaded cross-encoder: (query, passage) pairs -> scores, float32, the logits.

    Of a pair, 512 tokens are kept, or as many as the model has positions. ``parameters`` counts the model's.
    InputError if ``folder`` holds no cross-encoder, or has weights that are not finite.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        disable_progress_bar()  # of transformers, for loading weights
        torch.set_num_threads(threads)
        try:
            stock, loading = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=1, output_loading_info=True, trust_remote_code=False, local_files_only=True
            )
            tokens = min(MAX_LENGTH, getattr(stock.config, "max_position_embeddings", MAX_LENGTH))
            self.model = CrossEncoder(
                str(folder), num_labels=1, max_length=tokens, trust_remote_code=False, local_files_only=True
            )
        except UNLOADABLE as error:
            raise InputError(f"{folder} does not load as a cross-encoder ({first_line(error)})") from error
        if loading["missing_keys"]:  # it would score with random numbers in their place
            raise InputError(
                f"{folder} is no cross-encoder: it lacks {min(loading['missing_keys'])}; "
                "a bi-encoder is given as dense:<model>"
            )
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise InputError(f"{folder}: the weights of {name} are not all finite; fetch the model again")
        self.parameters = sum(weight.numel() for weight in self.model.parameters())

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the scores of ``pairs``, in their order."""
        identity = torch.nn.Identity()  # the logits: their sigmoids would tie near 0 and 1
        return self.model.predict(
            list(pairs),
            batch_size=BATCH,
            activation_fn=identity,
            show_progress_bar=False,
            convert_to_numpy=True,
        ).astype(np.float32)
