"""A folder's tokenizer and masked language model, loaded and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.router import documents_folder
from repro.models.weights import UNLOADABLE


def load_masked_lm(folder: Path, **settings: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Load tokenizer and model in float32, for inference; ``settings`` go to the model's ``from_pretrained``.

    Of an inference-free model's folder that is the documents' side, wherever it lies in there.
    InputError if the folder does not load, a weight is missing or not finite, or there is no tokenizer.
    """
    folder = documents_folder(folder)
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, trust_remote_code=False, **settings
        )
    except UNLOADABLE as error:
        raise InputError(
            f"{folder} does not load as a masked language model ({first_line(error)})"
        ) from error
    if loading["missing_keys"]:  # transformers would go on with random numbers in their place
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise InputError(f"{folder} lacks weights of its masked-language-model head or body: {missing}")
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise InputError(
                f"{folder}: {name} has numbers that are not finite; the weights are damaged, or their "
                "training diverged"
            )
    return load_tokenizer(folder), model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a folder's tokenizer; InputError if there is none, or it does not load."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except UNLOADABLE as error:
        raise InputError(f"{folder}: its tokenizer does not load ({first_line(error)})") from error
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):  # transformers made one up
        raise InputError(f"{folder} has no tokenizer: expected tokenizer.json, vocab.txt or the like")
    return tokenizer


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    name: str,
    embeddings: int,
    special: bool = True,
) -> list[list[int]]:
    """Return the ids of the first ``max_length`` tokens of each text, with ``special`` [CLS] and [SEP] among
    them.

    InputError, about the model called ``name``, if the tokenizer cannot take a text, or gives it a token
    beyond the model's ``embeddings``.
    """
    try:
        found = tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            add_special_tokens=special,
        )
    except UNLOADABLE as error:  # without [UNK], tokenizers raises a bare Exception for an unknown word
        raise InputError(
            f"{name}: the tokenizer cannot take a text ({first_line(error)}); complete its files"
        ) from error
    tokens = found["input_ids"]
    highest = max(map(max, filter(None, tokens)), default=0)
    if highest >= embeddings:
        raise InputError(
            f"{name}: the tokenizer gives id {highest}, but the model has {embeddings} embeddings; the two "
            "do not belong together"
        )
    return tokens


def output_layer(model: PreTrainedModel, name: Path | str) -> nn.Linear:
    """Return the layer that gives the logits; InputError if the model has none that is linear."""
    output = model.get_output_embeddings()
    if not isinstance(output, nn.Linear):
        raise InputError(f"{name}: {type(model).__name__} has no linear output layer, which SPLADE pools")
    return output


def terms_of(tokenizer: PreTrainedTokenizerBase, size: int) -> list[str]:
    """Return the term of each of ``size`` ids, empty for those without a token: rows that pad the layer."""
    known = sorted(i for i in set(tokenizer.get_vocab().values()) if 0 <= i < size)
    terms = [""] * size
    for i, term in zip(known, tokenizer.convert_ids_to_tokens(known)):
        terms[i] = term
    return terms


def bias_of(output: nn.Linear, terms: list[str]) -> Tensor:
    """Return the output layer's bias, -inf for ids without a term, so that none ever has a weight."""
    weight, stated = output.weight.detach(), cast(Tensor | None, output.bias)
    bias = torch.zeros(len(weight), device=weight.device) if stated is None else stated.detach()
    missing = torch.tensor([not term for term in terms], device=weight.device)
    return bias.masked_fill(missing, -torch.inf)
