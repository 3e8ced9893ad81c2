"""The body of a masked language model: from token ids to the hidden states that go into its output layer.

``CompiledBody`` computes the float32 formulas of transformers' ``BertForMaskedLM`` and
``DistilBertForMaskedLM`` with the kernels of ``native/body.h``. They fuse bias and GELU into the products,
keep a softmax's rows in the cache and cost a few microseconds to call; on small models a framework spends as
long between the products as in them. Sums are taken in another order, so results differ in the last bits of
float32. Other models, other processors and GPUs take the forward pass of transformers, ``ModelBody``. Both
take texts of equal length, so that nothing is padded.
"""

import threading
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn
from transformers import BertForMaskedLM, DistilBertForMaskedLM, PreTrainedModel

from repro.splade import native
from repro.splade.bypass import Bypass, hidden_states, unchanged
from repro.splade.kernels import HEAD, Kernels


@dataclass(frozen=True)
class Names:
    """Where an architecture keeps the modules of its forward pass; those of a layer are relative to it."""

    words: str
    positions: str
    types: str | None
    embedded: str
    layers: str
    query: str
    key: str
    value: str
    attended: str
    attention_norm: str
    widened: str
    narrowed: str
    layer_norm: str
    transform: str
    transform_norm: str


ARCHITECTURES = {
    BertForMaskedLM: Names(
        words="bert.embeddings.word_embeddings",
        positions="bert.embeddings.position_embeddings",
        types="bert.embeddings.token_type_embeddings",
        embedded="bert.embeddings.LayerNorm",
        layers="bert.encoder.layer",
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        attended="attention.output.dense",
        attention_norm="attention.output.LayerNorm",
        widened="intermediate.dense",
        narrowed="output.dense",
        layer_norm="output.LayerNorm",
        transform="cls.predictions.transform.dense",
        transform_norm="cls.predictions.transform.LayerNorm",
    ),
    DistilBertForMaskedLM: Names(
        words="distilbert.embeddings.word_embeddings",
        positions="distilbert.embeddings.position_embeddings",
        types=None,
        embedded="distilbert.embeddings.LayerNorm",
        layers="distilbert.transformer.layer",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attended="attention.out_lin",
        attention_norm="sa_layer_norm",
        widened="ffn.lin1",
        narrowed="ffn.lin2",
        layer_norm="output_layer_norm",
        transform="vocab_transform",
        transform_norm="vocab_layer_norm",
    ),
}


def compiles(model: PreTrainedModel) -> bool:
    """Tell whether there are kernels that compute ``model``: heads of 64, GELU by erf, absolute positions.

    And whether its modules are what its architecture has: no adapters, quantised weights or hooks.
    """
    config = model.config
    if native.kernels() is None or type(model) not in ARCHITECTURES or not _plain(model):
        return False
    bert = isinstance(model, BertForMaskedLM)
    return (
        config.hidden_size == config.num_attention_heads * HEAD
        and (config.intermediate_size if bert else config.hidden_dim) % HEAD == 0
        and (config.hidden_act if bert else config.activation) == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
    )


def _plain(model: PreTrainedModel) -> bool:
    """Tell whether torch's and transformers' own modules, with float32 parameters on a CPU, are all there is
    to the model's forward pass.
    """
    return all(
        type(module).__module__.startswith(("torch.nn.modules.", "transformers.")) and unchanged(module)
        for module in model.modules()
    ) and all(
        type(one) is nn.Parameter and one.dtype == torch.float32 and one.device.type == "cpu"
        for one in model.parameters()
    )


class ModelBody:
    """The forward pass of ``model`` itself, up to its output layer, which gets a ``Bypass``."""

    def __init__(self, model: PreTrainedModel) -> None:
        layer = cast(nn.Linear, model.get_output_embeddings())
        vars(layer)["forward"] = Bypass(layer)
        self.model = model

    @torch.inference_mode()
    def __call__(self, ids: np.ndarray) -> torch.Tensor:
        """Return hidden states, float32 on the model's device, texts x tokens x d, of ids, texts x tokens."""
        return hidden_states(self.model, input_ids=torch.from_numpy(ids).to(self.model.device)).float()


class CompiledBody:
    """The same of a ``model`` for which ``compiles`` holds, with a copy of its weights.

    Several threads may call it at once.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        kernels = native.kernels()
        if kernels is None:
            raise ValueError("the compiled body needs the compiled kernels")
        names = ARCHITECTURES[type(model)]
        part = model.get_submodule
        self.kernels = kernels
        self.d = model.config.hidden_size
        self.words = _array(cast(nn.Embedding, part(names.words)).weight)
        self.positions = _array(cast(nn.Embedding, part(names.positions)).weight)
        if names.types:  # a text is one segment, so its type's embedding goes with each position's
            self.positions = self.positions + _array(cast(nn.Embedding, part(names.types)).weight)[0]
        self.embedded = _Normalisation(kernels, model, names.embedded)
        layers = cast(nn.ModuleList, part(names.layers))
        self.layers = [_Layer(kernels, layer, names) for layer in layers]
        self.transform = _Linear(kernels, model, names.transform, gelu=True)
        self.transform_norm = _Normalisation(kernels, model, names.transform_norm)
        self.widest = max([3 * self.d] + [len(layer.widened.bias) for layer in self.layers])
        self.local = threading.local()

    def __call__(self, ids: np.ndarray) -> torch.Tensor:
        """Return hidden states, float32, texts x tokens x d, of int64 ids, texts x tokens.

        IndexError for an id or a position that the model has no embedding of.
        """
        texts, length = ids.shape
        x, flat, narrow = self._workspace(ids.size)
        qkv, wide = _view(flat, ids.size, 3 * self.d), _view(flat, ids.size, self.d)
        self.kernels.embed(ids, self.words, self.positions, x)
        self.embedded(x)
        for layer in self.layers:
            layer.query_key_value(x, qkv)
            self.kernels.attention(qkv, texts, narrow)
            layer.attended(narrow, wide)
            layer.attention_norm(x, added=wide)
            widened = _view(flat, ids.size, len(layer.widened.bias))
            layer.widened(x, widened)
            layer.narrowed(widened, narrow)
            layer.layer_norm(x, added=narrow)
        states = np.empty((ids.size, self.d), np.float32)
        self.transform(x, states)
        self.transform_norm(states)
        return torch.from_numpy(states.reshape(texts, length, self.d))

    def _workspace(self, tokens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return this thread's arrays: tokens x d, one for any layer's outputs, and tokens x d.

        They are kept between batches: new pages cost as much as a small product.
        """
        if getattr(self.local, "tokens", 0) < tokens:
            widths = self.d, self.widest, self.d
            self.local.arrays = [np.empty(tokens * width, np.float32) for width in widths]
            self.local.tokens = tokens
        x, flat, narrow = self.local.arrays
        return _view(x, tokens, self.d), flat, _view(narrow, tokens, self.d)


class _Linear:
    """One or several linear modules of the same input, their outputs side by side."""

    def __init__(self, kernels: Kernels, root: nn.Module, *names: str, gelu: bool = False) -> None:
        modules = [cast(nn.Linear, root.get_submodule(name)) for name in names]
        self.kernels, self.gelu = kernels, gelu
        self.packed = kernels.pack_columns(np.concatenate([_array(module.weight) for module in modules]))
        self.bias = np.concatenate([_array(module.bias) for module in modules])

    def __call__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.kernels.linear(x, self.packed, self.bias, self.gelu, y)


class _Normalisation:
    def __init__(self, kernels: Kernels, root: nn.Module, name: str) -> None:
        module = cast(nn.LayerNorm, root.get_submodule(name))
        self.kernels = kernels
        self.gain, self.bias, self.epsilon = _array(module.weight), _array(module.bias), module.eps

    def __call__(self, x: np.ndarray, added: np.ndarray | None = None) -> None:
        self.kernels.add_normalise(x, added, self.gain, self.bias, self.epsilon)


class _Layer:
    def __init__(self, kernels: Kernels, layer: nn.Module, names: Names) -> None:
        self.query_key_value = _Linear(kernels, layer, names.query, names.key, names.value)
        self.attended = _Linear(kernels, layer, names.attended)
        self.attention_norm = _Normalisation(kernels, layer, names.attention_norm)
        self.widened = _Linear(kernels, layer, names.widened, gelu=True)
        self.narrowed = _Linear(kernels, layer, names.narrowed)
        self.layer_norm = _Normalisation(kernels, layer, names.layer_norm)


def _array(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().float().contiguous().numpy()


def _view(flat: np.ndarray, tokens: int, width: int) -> np.ndarray:
    """Return the beginning of a workspace as tokens x width."""
    return flat[: tokens * width].reshape(tokens, width)
