"""Which Sentence Transformers models are SPLADE-max models, that this project's head and body can compute."""

from typing import NamedTuple, cast

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch import Tensor, nn
from transformers import PreTrainedModel

from repro.splade.bypass import own_output_layer


class Parts(NamedTuple):
    """What a SPLADE-max model consists of; ``layer`` is the output layer of ``masked_lm``."""

    transformer: Transformer
    pooling: SpladePooling
    masked_lm: PreTrainedModel
    layer: nn.Linear


def splade_max(model: SparseEncoder) -> Parts:
    """Return the parts of a SPLADE-max model; ValueError, which names the reason, if it is none."""
    if not isinstance(model, SparseEncoder):
        raise ValueError(f"expected a sentence_transformers.SparseEncoder, found a {type(model).__name__}")
    transformer, pooling = (*model, None, None)[:2]
    if len(model) != 2 or not isinstance(transformer, Transformer) or not isinstance(pooling, SpladePooling):
        names = ", ".join(type(module).__name__ for module in model)
        raise ValueError(f"expected the modules Transformer and SpladePooling, found {names}")
    if pooling.pooling_strategy != "max" or pooling.activation_function != "relu":
        found = f"{pooling.pooling_strategy} and {pooling.activation_function}"
        raise ValueError(f"only SpladePooling with max and relu is computed here, found {found}")
    if transformer.backend != "torch" or transformer.transformer_task != "fill-mask":
        found = f"{transformer.transformer_task} and {transformer.backend}"
        raise ValueError(f"expected a Transformer with task fill-mask and backend torch, found {found}")
    taken = transformer.modality_config.get("text", {}).get("method_output_name")
    if taken not in ("logits", ("logits",), ["logits"]) or model.module_kwargs:
        raise ValueError("the Transformer takes something else of its model than the logits of texts")
    masked_lm = cast(PreTrainedModel, transformer.model)
    layer = masked_lm.get_output_embeddings()
    if type(layer) is not nn.Linear:
        raise ValueError(f"expected a torch.nn.Linear as output layer, found {type(layer).__name__}")
    kinds = {model: SparseEncoder, transformer: Transformer, pooling: SpladePooling}
    for module, kind in kinds.items():
        if type(module).forward is not kind.forward or module._forward_hooks or module._forward_pre_hooks:
            raise ValueError(f"{type(module).__name__} has a forward of its own, or hooks")
    if not own_output_layer(layer):
        raise ValueError("the output layer has a forward of its own, or hooks")
    return Parts(transformer, pooling, masked_lm, layer)


def check_logits(parts: Parts) -> None:
    """Raise ValueError if the model's logits are not just what its output layer gives."""
    given: list[Tensor] = []
    device = parts.layer.weight.device
    hook = parts.layer.register_forward_hook(lambda module, inputs, output: given.append(output))
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            ids = torch.zeros(1, 2, dtype=torch.long, device=device)
            logits = parts.masked_lm(input_ids=ids, return_dict=True).logits
    finally:
        hook.remove()
    if len(given) != 1 or not torch.equal(given[0], logits):
        raise ValueError(f"the logits of {type(parts.masked_lm).__name__} are not those of its output layer")
