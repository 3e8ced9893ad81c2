"""A Sentence Transformers ``SparseEncoder`` that computes with the exact head and the kernels, in place.

Nothing of the model is replaced but three functions, on the instance: ``forward`` (``model(features)``, as
losses call it), the loop behind ``encode`` and its kin, and the output layer's, which gives its input when it
is asked to (``bypass.Bypass``). Modules, parameters and state are the model's own, so it is saved, pickled,
copied, moved and trained as any other. What these functions cannot compute they leave to the class's own.
"""

from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import torch
from sentence_transformers import SparseEncoder
from torch import Tensor
from tqdm import tqdm

from repro.compiled import windows
from repro.compiled.batches import start_workers
from repro.compiled.body import CompiledBody, compiles
from repro.compiled.windows import token_counts, unpadded
from repro.splade.bypass import Bypass, ModelBody
from repro.splade.head import MaxPooledHead, Row, choose_method
from repro.splade.rows import RowEncoder, in_order, to_matrix
from repro.splade.sparse_encoder import Parts, check_logits, splade_max
from repro.splade.trainable_head import TrainableHead, embed

NAME = "_acceleration"
SAMPLED = 1024
"""Numbers of a parameter that tell whether it has changed, besides torch's own count of changes."""


def accelerate(model: SparseEncoder, threads: int | None = None) -> SparseEncoder:
    """Make ``model`` encode on a CPU with the exact head and the compiled kernels; return the same model.

    ``encode``, ``encode_query`` and ``encode_document`` keep their arguments and give the same results, to
    the last bits of float32 sums, in a pool of processes, too; ``batch_size`` has no part in them any more.
    ``model(features)`` gives the same ``sentence_embedding``, and in training the same gradients. Weights may
    change at any time: by training, by ``load_state_dict``, by adapters. ``restore`` undoes it.

    threads: of encoding (default: as many as torch uses).

    On a GPU, in half precision, under autocast, and for inputs that are not plain texts, ``encode`` is the
    model's own. Training is accelerated on a GPU, too.

    Raises ValueError, which names the reason, for a model that is no SPLADE-max model: a Transformer for
    fill-mask on the torch backend, whose logits are those of a linear output layer, and SpladePooling with
    max and relu.
    """
    check_logits(splade_max(restore(model)))
    acceleration = Acceleration(model, threads or torch.get_num_threads())
    vars(model)[NAME] = acceleration
    # no bound methods: transformers' trainer would bind their functions to the model
    vars(model)["forward"] = partial(Acceleration.forward, acceleration)
    vars(model)["_inference"] = partial(Acceleration.inference, acceleration)
    return model


def restore(model: SparseEncoder) -> SparseEncoder:
    """Undo ``accelerate``, if ``model`` was accelerated; return the same model."""
    if vars(model).pop(NAME, None) is not None:
        for name in ("forward", "_inference"):
            vars(model).pop(name, None)
        for module in model.modules():
            if isinstance(vars(module).get("forward"), Bypass):
                del vars(module)["forward"]
    return model


def accelerated(model: SparseEncoder) -> bool:
    """Tell whether a model is ``accelerate``d."""
    return NAME in vars(model)


class Acceleration:
    """What stands behind an accelerated ``model``."""

    def __init__(self, model: SparseEncoder, threads: int) -> None:
        self.__setstate__({"model": model, "threads": threads})

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies, also those in other processes, are made of."""
        return {"model": self.model, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: SparseEncoder = state["model"]
        self.threads: int = state["threads"]
        self.workers = start_workers(self.threads)
        self.lock = Lock()
        self.trained = False  # since the encoder was made
        self.weights: object = None
        self.encoder: RowEncoder | None = None
        self.head: TrainableHead | None = None

    def forward(self, input: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Do what ``SparseEncoder.forward`` does, from tokens to ``sentence_embedding``."""
        parts, lengths, gradient = self._parts(), token_counts(input), torch.is_grad_enabled()
        if parts and lengths is not None and (gradient or self.model.training):
            self.trained |= gradient
            input["sentence_embedding"] = embed(parts.masked_lm, self._trainable_head(parts), input)
        elif parts and lengths is not None and self._encodes(None):
            rows = in_order(self._encoder(parts).start(unpadded(input, lengths)), len(lengths))
            input["sentence_embedding"] = _dense(rows, parts)
        else:
            return type(self.model).forward(self.model, input, **options)
        return input

    def inference(
        self,
        inputs: list[Any],
        *,
        prompt: str | None,
        batch_size: int,
        show_progress_bar: bool,
        convert_to_sparse_tensor: bool,
        save_to_cpu: bool,
        max_active_dims: int | None,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> Tensor:
        """Do what the loop of ``SparseEncoder.encode`` does, from inputs to a tensor, inputs x vocabulary."""
        self.model.eval()
        parts, rows = self._parts(), None
        if inputs and parts and self._encodes(device) and (max_active_dims is None or max_active_dims > 0):
            with tqdm(total=len(inputs), desc="Texts", disable=not show_progress_bar) as progress:
                rows = self._rows(parts, inputs, prompt, options, progress)
        if not parts or rows is None:
            return type(self.model)._inference(
                self.model,
                inputs,
                prompt=prompt,
                batch_size=batch_size,
                show_progress_bar=show_progress_bar,
                convert_to_sparse_tensor=convert_to_sparse_tensor,
                save_to_cpu=save_to_cpu,
                max_active_dims=max_active_dims,
                device=device,
                **options,
            )
        if max_active_dims is not None:
            rows = [_strongest(row, max_active_dims) for row in rows]
        return _sparse(rows, parts) if convert_to_sparse_tensor else _dense(rows, parts)

    def _rows(
        self, parts: Parts, inputs: list[Any], prompt: str | None, options: dict[str, Any], progress: tqdm
    ) -> list[Row] | None:
        """Return the inputs' rows, in order; None if they are no plain texts."""
        encoder, rows = self._encoder(parts), in_order(iter(()), len(inputs))
        preprocess = partial(self.model.preprocess, prompt=prompt, **options)
        try:
            for i, row in windows.encode(inputs, preprocess, encoder.start):
                rows[i] = row
                progress.update()
        except windows.NotPlainError:
            return None
        return rows

    def _parts(self) -> Parts | None:
        """Return the model's parts, if it is still one that is computed here."""
        try:
            parts = splade_max(self.model)
        except ValueError:
            return None
        layer = parts.layer
        if "forward" not in vars(layer):  # at first, and when the vocabulary has grown
            vars(layer)["forward"] = Bypass(layer)
        if parts.pooling.embedding_dimension is None:  # set by the pooling's own forward at its first call
            parts.pooling.embedding_dimension = layer.out_features
        return parts if layer.weight.dtype == torch.float32 else None

    def _encodes(self, device: str | torch.device | None) -> bool:
        """Tell whether texts are encoded here and now, on ``device`` (None: where the model is)."""
        return (
            (device is None or torch.device(device).type == "cpu")
            and not torch.is_autocast_enabled("cpu")
            and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in self.model.parameters())
        )

    def _encoder(self, parts: Parts) -> RowEncoder:
        """Return an encoder of the weights as they are now."""
        with self.lock:
            compiled = compiles(parts.masked_lm)
            weights = [compiled, *map(_state, parts.masked_lm.parameters())]
            if self.encoder is None or self.trained or weights != self.weights:
                self.trained, self.weights = False, weights
                method = choose_method("exact", parts.layer.in_features, torch.device("cpu"))
                head = MaxPooledHead(parts.layer.weight, parts.layer.bias, method)
                body = CompiledBody(parts.masked_lm) if compiled else ModelBody(parts.masked_lm)
                self.encoder = RowEncoder(body, head, self.workers)
            return self.encoder

    def _trainable_head(self, parts: Parts) -> TrainableHead:
        if self.head is None or self.head.layer is not parts.layer:
            self.head = TrainableHead(parts.layer, self.threads)
        return self.head


def _state(parameter: Tensor) -> tuple[int, int, bytes]:
    """Return where a parameter lies, how often torch saw it change, and a sample of its numbers.

    A fused optimiser's step is not counted, but changes all of them.
    """
    flat = parameter.detach().reshape(-1)
    sample = flat[:: max(1, len(flat) // SAMPLED)].numpy().tobytes()
    return parameter.data_ptr(), 0 if parameter.is_inference() else parameter._version, sample


def _strongest(row: Row, count: int) -> Row:
    """Return the greatest weights of a row, term ids ascending."""
    terms, weights = row
    kept = torch.from_numpy(weights).topk(min(count, len(weights))).indices.sort().values.numpy()
    return terms[kept], weights[kept]


def _dense(rows: list[Row], parts: Parts) -> Tensor:
    return torch.from_numpy(to_matrix(rows, parts.layer.out_features).toarray())


def _sparse(rows: list[Row], parts: Parts) -> Tensor:
    """Return rows as the stack of vectors that ``encode`` returns, which does not count as coalesced."""
    matrix = to_matrix(rows, parts.layer.out_features).tocoo()
    indices = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
    weights = torch.from_numpy(matrix.data)
    return torch.sparse_coo_tensor(indices, weights, matrix.shape, check_invariants=False)
