"""The layers of BERT and DistilBERT: from token ids to hidden states.

``CompiledBody`` computes the float32 formulas of transformers' ``BertModel`` and ``DistilBertModel``, and of
the masked language models on them up to the output layer, with the kernels of ``native/body.h``. They fuse
bias and GELU into the products, keep a softmax's rows in the cache and cost a few microseconds to call; on
small models a framework spends as long between the products as in them. Sums are taken in another order, so
results differ in the last bits of float32; those of a text are the same whatever is in its batch. Nothing is
padded.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn
from transformers import BertForMaskedLM, BertModel, DistilBertForMaskedLM, DistilBertModel, PreTrainedModel

from repro.compiled import native
from repro.compiled.layer_kernels import HEADS, LayerKernels
from repro.compiled.linear import Int8Linear, Linear, array_of

UNIT = 64
"""Of how many outputs a product has a multiple, on every processor."""


@dataclass(frozen=True)
class Names:
    """Where an architecture keeps the modules of its layers, and the fields of its configuration.

    Modules of a layer are relative to it, the others to the model without its output layer.
    """

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
    wide: str
    activation: str


BERT = Names(
    words="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    types="embeddings.token_type_embeddings",
    embedded="embeddings.LayerNorm",
    layers="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attended="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    widened="intermediate.dense",
    narrowed="output.dense",
    layer_norm="output.LayerNorm",
    wide="intermediate_size",
    activation="hidden_act",
)
DISTILBERT = Names(
    words="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    types=None,
    embedded="embeddings.LayerNorm",
    layers="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attended="attention.out_lin",
    attention_norm="sa_layer_norm",
    widened="ffn.lin1",
    narrowed="ffn.lin2",
    layer_norm="output_layer_norm",
    wide="hidden_dim",
    activation="activation",
)


class Transform(NamedTuple):
    """What a masked language model has between its layers and its output layer: a product, its norm."""

    dense: str
    norm: str


ARCHITECTURES: dict[type[PreTrainedModel], tuple[Names, Transform | None]] = {
    BertModel: (BERT, None),
    DistilBertModel: (DISTILBERT, None),
    BertForMaskedLM: (
        BERT,
        Transform("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    ),
    DistilBertForMaskedLM: (DISTILBERT, Transform("vocab_transform", "vocab_layer_norm")),
}


def compiles(model: PreTrainedModel) -> bool:
    """Tell whether there are kernels that compute ``model``: heads of 32 or 64, GELU by erf, absolute
    positions.

    And whether its modules are what its architecture has: no adapters, quantised weights or hooks.
    """
    config = model.config
    if native.kernels() is None or type(model) not in ARCHITECTURES or not _plain(model):
        return False
    names, _ = ARCHITECTURES[type(model)]
    return (
        config.hidden_size in [config.num_attention_heads * head for head in HEADS]
        and config.hidden_size % UNIT == 0
        and getattr(config, names.wide) % UNIT == 0
        and getattr(config, names.activation) == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
    )


def _plain(model: PreTrainedModel) -> bool:
    """Tell whether torch's and transformers' own modules, with float32 parameters on a CPU, are all there is
    to the model's forward pass.
    """
    output = model.get_output_embeddings()  # not computed here, and SPLADE's has a forward of its own
    return all(
        type(module).__module__.startswith(("torch.nn.modules.", "transformers."))
        and (module is output or unchanged(module))
        for module in model.modules()
    ) and all(
        type(one) is nn.Parameter and one.dtype == torch.float32 and one.device.type == "cpu"
        for one in model.parameters()
    )


def unchanged(module: nn.Module) -> bool:
    """Tell whether a module's forward is its class's, and has no hooks."""
    return "forward" not in vars(module) and not (module._forward_hooks or module._forward_pre_hooks)


def layers_of(model: PreTrainedModel) -> nn.Module:
    """Return the layers of a model for which ``compiles`` holds; ``CompiledBody`` has all their weights."""
    names, _ = ARCHITECTURES[type(model)]
    return cast(PreTrainedModel, model.base_model).get_submodule(names.layers)


class CompiledBody:
    """The layers of a ``model`` for which ``compiles`` holds, with a copy of its weights.

    With ``int8``, products with its layers' weights are of rounded numbers (``linear.py``). Several threads
    may call it at once.
    """

    def __init__(self, model: PreTrainedModel, int8: bool = False) -> None:
        kernels = native.kernels()
        if kernels is None:
            raise ValueError("the compiled body needs the compiled kernels")
        names, transform = ARCHITECTURES[type(model)]
        base = cast(PreTrainedModel, model.base_model)
        part = base.get_submodule
        self.kernels = kernels
        self.d = model.config.hidden_size
        self.head = self.d // model.config.num_attention_heads
        self.words = array_of(cast(nn.Embedding, part(names.words)).weight)
        self.positions = array_of(cast(nn.Embedding, part(names.positions)).weight)
        if names.types:  # a text is one segment, so its type's embedding goes with each position's
            self.positions = self.positions + array_of(cast(nn.Embedding, part(names.types)).weight)[0]
        self.embedded = _Normalisation(kernels, base, names.embedded)
        layers = cast(nn.ModuleList, part(names.layers))
        self.layers = [_Layer(kernels, layer, names, Int8Linear if int8 else Linear) for layer in layers]
        self.transform = transform and _Transform(kernels, model, transform)
        self.widest = max([3 * self.d] + [layer.widened.width for layer in self.layers])
        self.local = threading.local()

    def __call__(self, ids: np.ndarray) -> torch.Tensor:
        """Return hidden states, float32, texts x tokens x d, of int64 ids, texts x tokens.

        IndexError for an id or a position that the model has no embedding of.
        """
        return torch.from_numpy(self.states([ids])[0])

    def states(self, batch: Sequence[np.ndarray], first: bool = False) -> list[np.ndarray]:
        """Return the hidden states of each array of ids, as ``__call__`` does: texts of one length each.

        ``first``: of each text's first token only, texts x 1 x d, for which the last layer computes no other.
        """
        shapes = asking = [ids.shape for ids in batch]
        rows = queries = _rows(shapes)
        x, flat, narrow = self._workspace(sum(ids.size for ids in batch))
        for ids, tokens in zip(batch, rows):
            self.kernels.embed(ids, self.words, self.positions, x[tokens])
        self.embedded(x)
        for i, layer in enumerate(self.layers):
            qkv = _view(flat, len(x), 3 * self.d)
            layer.query_key_value(x, qkv)
            if first and i == len(self.layers) - 1:
                x = np.concatenate([x[tokens][::length] for tokens, (_, length) in zip(rows, shapes)])
                asking = [(texts, 1) for texts, _ in shapes]
                queries = _rows(asking)
                narrow = narrow[: len(x)]
            for (texts, _), tokens, those in zip(shapes, rows, queries):
                self.kernels.attention(qkv[tokens], texts, self.head, narrow[those])
            wide = _view(flat, len(x), self.d)
            layer.attended(narrow, wide)
            layer.attention_norm(x, added=wide)
            widened = _view(flat, len(x), layer.widened.width)
            layer.widened(x, widened)
            layer.narrowed(widened, narrow)
            layer.layer_norm(x, added=narrow)
        states = self.transform(x) if self.transform else x.copy()  # x is of the next batch's, too
        parts = zip(queries, asking)
        return [states[those].reshape(texts, length, self.d) for those, (texts, length) in parts]

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


class _Normalisation:
    def __init__(self, kernels: LayerKernels, root: nn.Module, name: str) -> None:
        module = cast(nn.LayerNorm, root.get_submodule(name))
        self.kernels = kernels
        self.gain, self.bias, self.epsilon = array_of(module.weight), array_of(module.bias), module.eps

    def __call__(self, x: np.ndarray, added: np.ndarray | None = None) -> None:
        self.kernels.add_normalise(x, added, self.gain, self.bias, self.epsilon)


class _Transform:
    def __init__(self, kernels: LayerKernels, model: nn.Module, names: Transform) -> None:
        self.dense = Linear(kernels, model, names.dense, gelu=True)
        self.norm = _Normalisation(kernels, model, names.norm)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        states = np.empty((len(x), self.dense.width), np.float32)
        self.dense(x, states)
        self.norm(states)
        return states


class _Layer:
    def __init__(
        self, kernels: LayerKernels, layer: nn.Module, names: Names, linear: type[Linear | Int8Linear]
    ) -> None:
        self.query_key_value = linear(kernels, layer, names.query, names.key, names.value)
        self.attended = linear(kernels, layer, names.attended)
        self.attention_norm = _Normalisation(kernels, layer, names.attention_norm)
        self.widened = linear(kernels, layer, names.widened, gelu=True)
        self.narrowed = linear(kernels, layer, names.narrowed)
        self.layer_norm = _Normalisation(kernels, layer, names.layer_norm)


def _rows(shapes: Sequence[tuple[int, ...]]) -> list[slice]:
    """Return which rows of all texts' tokens are those of each shape, texts x tokens."""
    ends = np.cumsum([0, *(texts * tokens for texts, tokens in shapes)]).tolist()
    return list(starmap(slice, pairwise(ends)))


def _view(flat: np.ndarray, tokens: int, width: int) -> np.ndarray:
    """Return the beginning of a workspace as tokens x width."""
    return flat[: tokens * width].reshape(tokens, width)
