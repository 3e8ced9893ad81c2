"""The body of a masked language model: from token ids to the hidden states that go into its output layer.

``CompiledBody`` computes the float32 formulas of transformers' ``BertForMaskedLM`` and ``DistilBertForMaskedLM`` with the
kernels of ``native/body.h``. They fuse bias and GELU into the products, keep a softmax's rows in the cache and cost a few
microseconds to call; on small models a framework spends as long between the products as in them. Sums are taken in
another order, so results differ in the last bits of float32. Other models, other processors and GPUs take the forward
pass of transformers, ``ModelBody``. Both take texts of equal length, so that nothing is padded.
"""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import BertForMaskedLM, DistilBertForMaskedLM, PreTrainedModel

from repro.splade import native


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
    """Tell whether the kernels are there and compute what ``model`` does: heads of 64, GELU by erf, absolute positions."""
    config = model.config
    if native.kernels() is None or model.device.type != "cpu" or type(model) not in ARCHITECTURES:
        return False
    bert = isinstance(model, BertForMaskedLM)
    return (
        config.hidden_size == config.num_attention_heads * native.HEAD
        and (config.intermediate_size if bert else config.hidden_dim) % native.HEAD == 0
        and (config.hidden_act if bert else config.activation) == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
    )


class ModelBody:
    """The forward pass of ``model`` itself, whose output layer is taken out of it."""

    def __init__(self, model: PreTrainedModel) -> None:
        output = model.get_output_embeddings()
        name = next(name for name, module in model.named_modules() if module is output)
        model.set_submodule(name, nn.Identity())  # now the model's "logits" are the output layer's input
        self.model = model

    @torch.inference_mode()
    def __call__(self, ids: np.ndarray) -> torch.Tensor:
        """Return the hidden states, float32 on the model's device, texts x tokens x d, of token ids, texts x tokens."""
        return self.model(input_ids=torch.from_numpy(ids).to(self.model.device)).logits.float()


class CompiledBody:
    """The same of a ``model`` for which ``compiles`` holds, with a copy of its weights. Several threads may call it at once."""

    def __init__(self, model: PreTrainedModel) -> None:
        names = ARCHITECTURES[type(model)]
        part = model.get_submodule
        self.d = model.config.hidden_size
        self.words = _array(part(names.words).weight)
        self.positions = _array(part(names.positions).weight)
        if names.types:  # a text is one segment, so its type's embedding goes with each position's
            self.positions = self.positions + _array(part(names.types).weight)[0]
        self.embedded = _Normalisation(part(names.embedded))
        self.layers = [_Layer(layer, names) for layer in part(names.layers)]
        self.transform = _Linear([part(names.transform)], gelu=True)
        self.transform_norm = _Normalisation(part(names.transform_norm))
        self.widest = max([3 * self.d] + [len(layer.widened.bias) for layer in self.layers])
        self.local = threading.local()

    def __call__(self, ids: np.ndarray) -> torch.Tensor:
        """Return the hidden states, float32, texts x tokens x d, of int64 token ids, texts x tokens."""
        texts, length = ids.shape
        if length > len(self.positions) or ids.max() >= len(self.words):
            raise IndexError(f"token {ids.max()} or position {length - 1}: the model has no embedding of it")
        tokens = ids.size
        x, wide, narrow = self._room(tokens)
        native.embed(ids, self.words, self.positions, x)
        self.embedded(x, tokens)
        for layer in self.layers:
            layer.query_key_value(x, tokens, wide)
            native.attention(wide, texts, length, self.d, narrow)
            layer.attended(narrow, tokens, wide)
            layer.attention_norm(x, tokens, added=wide)
            layer.widened(x, tokens, wide)
            layer.narrowed(wide, tokens, narrow)
            layer.layer_norm(x, tokens, added=narrow)
        states = np.empty((texts, length, self.d), np.float32)
        self.transform(x, tokens, states)
        self.transform_norm(states, tokens)
        return torch.from_numpy(states)

    def _room(self, tokens: int) -> list[np.ndarray]:
        """Return this thread's working space, kept between batches: new pages cost as much as a small product."""
        if getattr(self.local, "tokens", 0) < tokens:
            self.local.tokens = tokens
            self.local.room = [
                np.empty(tokens * width, np.float32) for width in (self.d, self.widest, self.d)
            ]
        return self.local.room


class _Linear:
    """One or several linear modules of the same input, their outputs side by side."""

    def __init__(self, modules: list[nn.Linear], gelu: bool = False) -> None:
        self.packed = native.pack_columns(np.concatenate([_array(module.weight) for module in modules]))
        self.bias = np.concatenate([_array(module.bias) for module in modules])
        self.gelu = gelu

    def __call__(self, x: np.ndarray, tokens: int, y: np.ndarray) -> None:
        native.linear(x, tokens, self.packed, self.bias, self.gelu, y)


class _Normalisation:
    def __init__(self, module: nn.LayerNorm) -> None:
        self.gain, self.bias, self.epsilon = _array(module.weight), _array(module.bias), module.eps

    def __call__(self, x: np.ndarray, tokens: int, added: np.ndarray | None = None) -> None:
        native.add_normalise(x, added, tokens, self.gain, self.bias, self.epsilon)


class _Layer:
    def __init__(self, layer: nn.Module, names: Names) -> None:
        part = layer.get_submodule
        self.query_key_value = _Linear([part(names.query), part(names.key), part(names.value)])
        self.attended = _Linear([part(names.attended)])
        self.attention_norm = _Normalisation(part(names.attention_norm))
        self.widened = _Linear([part(names.widened)], gelu=True)
        self.narrowed = _Linear([part(names.narrowed)])
        self.layer_norm = _Normalisation(part(names.layer_norm))


def _array(parameter: nn.Parameter) -> np.ndarray:
    return parameter.detach().float().contiguous().numpy()
