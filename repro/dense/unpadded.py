"""Dense models of Sentence Transformers, computed by the compiled layers of BERT, without padding.

``accelerate`` replaces the loop behind ``SentenceTransformer.encode`` and its kin on one model; prompts,
lengths and tokens stay the library's. The mean of a text's tokens is their sum by their number: the library's
mask is all ones where nothing is padded, and its lower bound of 1e-9 is never met, since every text here has
a token.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from repro.compiled import windows
from repro.compiled.batches import Results, Tokens, like_lengths, start, start_workers
from repro.compiled.body import CompiledBody, compiles, layers_of, unchanged

POOLINGS = ("mean", "cls")
SMALLEST_NORM = np.float32(1e-12)
"""By which torch's ``normalize`` divides at least."""
AS_ENCODED = {
    "output_value": "sentence_embedding",
    "normalize_embeddings": False,
    "truncate_dim": None,
    "device": None,
}
"""What ``encode`` asks its loop for by itself."""
OF_THE_LOOP = {*AS_ENCODED, "batch_size", "show_progress_bar", "save_to_cpu"}
"""Options that do not go on to ``preprocess``."""
LAST_STATES = ("last_hidden_state", ("last_hidden_state",), ["last_hidden_state"])
"""The output that a Transformer takes of its model."""


def accelerate(model: SentenceTransformer, threads: int | None = None, int8: bool = False) -> bool:
    """Have ``model`` encode texts with the compiled layers if ``computes`` holds; tell whether it does.

    The weights are copied, so they must not change any more; of a model that was accelerated and has changed
    since, the library computes again. threads: of encoding (default: as many as torch uses). int8: products
    are of rounded numbers (``compiled/linear.py``), so vectors are near the library's, and no more.
    """
    if not computes(model):
        vars(model).pop("_inference", None)
        return False
    encoder = VectorEncoder(model, threads or torch.get_num_threads(), int8)
    vars(model)["_inference"] = partial(VectorEncoder.inference, encoder)
    return True


def release(model: SentenceTransformer) -> None:
    """Free the layers of an accelerated ``model``, of which the compiled ones have a copy.

    It encodes to vectors as before, but nothing else: what the library would compute is a NotPlainError, and
    it can no longer be copied.
    """
    encoder = vars(model)["_inference"].args[0]
    encoder.whole = False
    layers_of(cast(Transformer, model[0]).model).to("meta")


def computes(model: SentenceTransformer) -> bool:
    """Tell whether a model is one that is computed here.

    That is a Transformer for which ``compiles`` holds and whose tokens' last hidden states are taken, Pooling
    by mean or [CLS], prompts included, and perhaps Normalize; with nothing else changed.
    """
    transformer, pooling, normalise = (*model, None, None, None)[:3]
    if type(model) is not SentenceTransformer or len(model) > 3 or any((model.module_kwargs or {}).values()):
        return False
    if type(transformer) is not Transformer or type(pooling) is not Pooling:
        return False
    if normalise is not None and type(normalise) is not Normalize:
        return False
    taken = transformer.modality_config.get("text", {})
    keys = {normalise.module_input_name, normalise.module_output_name} if normalise else set()
    return (
        all(map(unchanged, (model, *model)))
        and transformer.backend == "torch"
        and transformer.transformer_task == "feature-extraction"
        and "message" not in transformer.modality_config
        and taken.get("method") == "forward"
        and taken.get("method_output_name") in LAST_STATES
        and transformer.module_output_name == "token_embeddings"
        and transformer.query_expansion is None
        and getattr(transformer.tokenizer, "padding_side", None) == "right"
        and not getattr(transformer.model.config, "output_hidden_states", False)
        and pooling.pooling_mode in POOLINGS
        and pooling.include_prompt
        and keys <= {"sentence_embedding"}
        and not torch.is_autocast_enabled("cpu")
        and compiles(transformer.model)
    )


class VectorEncoder:
    """What a model for which ``computes`` holds makes of texts, at work in so many ``threads``."""

    def __init__(self, model: SentenceTransformer, threads: int, int8: bool = False) -> None:
        self.__setstate__({"model": model, "threads": threads, "int8": int8})
        _ = self.body, self.by_mean, self.normalise  # as they are now

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies, also those in other processes, are made of."""
        return {"model": self.model, "threads": self.threads, "int8": self.int8}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: SentenceTransformer = state["model"]
        self.threads: int = state["threads"]
        self.int8: bool = state["int8"]
        self.workers = start_workers(self.threads)
        self.whole = True
        """Whether the model has its layers still (``release``)."""

    # Of a copy at first use: while it is made, its model is not yet whole.
    @cached_property
    def body(self) -> CompiledBody:
        """The compiled layers."""
        return CompiledBody(cast(Transformer, self.model[0]).model, self.int8)

    @cached_property
    def by_mean(self) -> bool:
        """Whether a text's vector is the mean of its tokens', else it is that of [CLS]."""
        return self.model[1].pooling_mode == "mean"

    @cached_property
    def normalise(self) -> bool:
        """Whether vectors are brought to length 1."""
        return len(self.model) > 2

    def inference(self, inputs: list[Any], *, prompt: str | None, **options: Any) -> Any:
        """Do what the loop of ``SentenceTransformer.encode`` does, from inputs to vectors."""
        asked = {name: options.get(name, value) for name, value in AS_ENCODED.items()}
        if inputs and asked == AS_ENCODED:
            others = {name: value for name, value in options.items() if name not in OF_THE_LOOP}
            preprocess = partial(self.model.preprocess, prompt=prompt, **others)
            vectors = torch.empty(len(inputs), self.body.d)
            try:
                for i, vector in windows.encode(inputs, preprocess, self.start):
                    vectors[i] = torch.from_numpy(vector)
                return vectors
            except windows.NotPlainError:
                if not self.whole:
                    raise
        elif inputs and not self.whole:
            raise windows.NotPlainError("expected no other options than those of vectors")
        return SentenceTransformer._inference(self.model, inputs, prompt=prompt, **options)

    def start(self, tokens: Tokens) -> Results[np.ndarray]:
        """Let the workers begin on texts, and return their vectors as ``batches.start`` does."""
        batches = like_lengths([len(ids) for ids in tokens])
        return start(self.workers, self.encode, tokens, batches)

    def encode(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return each text's vector, float32; texts of one length are int64 ids, texts x tokens."""
        states = self.body.states(batch, first=not self.by_mean)
        return [vector for of_one_length in states for vector in self._pool(of_one_length)]

    def _pool(self, states: np.ndarray) -> np.ndarray:
        """Return the vectors of texts of equal length: hidden states are texts x tokens x d."""
        pooled = states.sum(axis=1) / np.float32(states.shape[1]) if self.by_mean else states[:, 0]
        if self.normalise:
            pooled = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), SMALLEST_NORM)
        return pooled
