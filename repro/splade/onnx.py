"""A SPLADE model as one ONNX graph, from token ids to active terms, as Anserini's encoders read them."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers.utils.logging import disable_progress_bar

from repro.splade.encoder import SpladeEncoder
from repro.splade.loading import load_masked_lm, output_layer, terms_of

INPUTS = ("input_ids", "token_type_ids", "attention_mask")
OUTPUTS = ("output_idx", "output_weights", "weights")
OPSET = 17


class _Graph(nn.Module):
    """The plain formula: SPLADE weights of a batch, and of its first text the active terms with their
    weights.

    ``known`` is 1 for each id that has a term and 0 for the others, whose weights become zero.
    """

    known: Tensor

    def __init__(self, model: nn.Module, types: bool, known: Tensor) -> None:
        super().__init__()
        self.model, self.types = model, types
        self.register_buffer("known", known)

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        segments = {"token_type_ids": types} if self.types else {}
        logits = self.model(input_ids=ids, attention_mask=mask, **segments).logits
        if not self.types:  # an input that the graph does not use would be dropped
            logits = logits + 0.0 * types[:, :, None]
        weights = torch.log1p(torch.relu(logits * mask[:, :, None])).amax(dim=1) * self.known
        active = torch.nonzero(weights[0]).squeeze(1)
        return active, weights[0][active], weights


def export(model: Path, folder: Path) -> None:
    """Write ``folder/model.onnx`` and ``folder/vocab.txt``; InputError if ``model`` is no masked language
    model.
    """
    disable_progress_bar()  # of transformers, for loading weights
    tokenizer, body = load_masked_lm(model, attn_implementation="eager")
    terms = terms_of(tokenizer, output_layer(body, model).out_features)
    known = torch.tensor([float(bool(term)) for term in terms])
    ids = torch.arange(16).view(2, 8) % len(terms)  # any will do: the graph is traced, and takes other shapes
    mask = (torch.arange(8) < torch.tensor([[8], [6]])).long()
    graph = _Graph(body, "token_type_ids" in tokenizer.model_input_names, known)
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
    # a term stands on the line of its id; an id without one keeps the others in their places
    while terms and not terms[-1]:
        terms.pop()
    lines = (term or f"[no term {i}]" for i, term in enumerate(terms))
    (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def largest_difference(model: Path, folder: Path, texts: Sequence[str]) -> float:
    """Return the largest difference of a weight between the ONNX model, text by text, and this encoder.

    Texts of which the tokenizer makes no token are left out: the graph takes at least one.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    encoder = SpladeEncoder(model, precision="float32", device="cpu")
    encoded, worst = encoder.encode(texts), 0.0
    for i, text in enumerate(texts):
        tokens = encoder.tokenizer(text, truncation=True, max_length=encoder.longest)["input_ids"]
        if not tokens:
            continue
        ids = np.array([tokens], np.int64)
        inputs = dict(zip(INPUTS, (ids, np.zeros_like(ids), np.ones_like(ids))))
        active, weights, _ = session.run(None, inputs)
        difference = np.zeros(len(encoder.vocabulary))
        difference[active] = weights
        difference[encoded[i].indices] -= encoded[i].data
        worst = max(worst, float(np.abs(difference).max()))
    return worst
