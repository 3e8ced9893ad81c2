"""A SPLADE model as one ONNX graph, from token ids to active terms, as Anserini's SpladeEncoder reads them."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from repro.base.errors import InputError
from repro.models.weights import UNLOADABLE
from repro.splade.encoder import SpladeEncoder

INPUTS = ("input_ids", "token_type_ids", "attention_mask")
OUTPUTS = ("output_idx", "output_weights", "weights")
OPSET = 17


class _Graph(nn.Module):
    """The plain formula: SPLADE weights of a batch, and of its first text the active terms with their weights."""

    def __init__(self, model: nn.Module, types: bool) -> None:
        super().__init__()
        self.model, self.types = model, types

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kinds = {"token_type_ids": types} if self.types else {}
        logits = self.model(input_ids=ids, attention_mask=mask, **kinds).logits
        if not self.types:  # an input that the graph does not use would be dropped
            logits = logits + 0.0 * types[:, :, None]
        weights = torch.log1p(torch.relu(logits * mask[:, :, None])).amax(dim=1)
        active = torch.nonzero(weights[0]).squeeze(1)
        return active, weights[0][active], weights


def export(model: Path, folder: Path) -> None:
    """Write ``folder/model.onnx`` and ``folder/vocab.txt``; InputError if ``model`` is no masked language model."""
    disable_progress_bar()  # of transformers, for loading weights
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        body = AutoModelForMaskedLM.from_pretrained(model, dtype=torch.float32, attn_implementation="eager")
    except UNLOADABLE as error:
        raise InputError(f"{model} does not load as a masked language model ({error})") from error
    example = tokenizer(["an example of some length", "a second"], padding=True, return_tensors="pt")
    ids, mask = example["input_ids"], example["attention_mask"]
    graph = _Graph(body.eval(), types="token_type_ids" in tokenizer.model_input_names)
    axes = {name: {0: "texts", 1: "tokens"} for name in INPUTS}
    axes |= {"output_idx": {0: "active"}, "output_weights": {0: "active"}, "weights": {0: "texts"}}
    warnings.filterwarnings("ignore", module="torch|transformers")  # on tracing, which the comparison covers
    torch.onnx.export(
        graph,
        (ids, torch.zeros_like(ids), mask),
        str(folder / "model.onnx"),
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,  # the newer exporter needs a package more, and gives the same graph here
    )
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")


def largest_difference(model: Path, folder: Path, texts: Sequence[str]) -> float:
    """Return the largest difference of a weight between the ONNX model, text by text, and this project's encoder."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    encoder = SpladeEncoder(model, precision="float32", device="cpu")
    encoded, worst = encoder.encode(texts), 0.0
    for i, text in enumerate(texts):
        ids = np.array([encoder.tokenizer(text, truncation=True, max_length=encoder.longest)["input_ids"]])
        inputs = dict(zip(INPUTS, (ids, np.zeros_like(ids), np.ones_like(ids))))
        active, weights, _ = session.run(None, inputs)
        difference = np.zeros(len(encoder.vocabulary))
        difference[active] = weights
        terms, expected = encoded.row(i)
        difference[terms] -= expected
        worst = max(worst, float(np.abs(difference).max()))
    return worst
