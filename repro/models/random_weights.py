"""Models with random weights in a trained one's shape: they take as long and as much memory where the trained
ones cannot be had, and say nothing of texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from repro.models.systems import Shape

if TYPE_CHECKING:
    from transformers import BertConfig, BertForMaskedLM, PreTrainedModel


def fresh_masked_lm(shape: Shape, vocabulary: int) -> BertForMaskedLM:
    """Return a masked language model of ``shape`` with random weights, for so many tokens."""
    from transformers import BertForMaskedLM

    return BertForMaskedLM(_config(shape, vocabulary))


def fresh_distilbert(vocabulary: int) -> PreTrainedModel:
    """Return DistilBERT's masked language model, in its own shape, with random weights."""
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    return DistilBertForMaskedLM(DistilBertConfig(vocab_size=vocabulary))


def save_masked_lm(
    shape: Shape | None, tokenizer_of: Path, texts: Iterable[str], active_terms: float, folder: Path
) -> None:
    """Save a SPLADE model of ``shape`` (None: DistilBERT) to ``folder``, with the tokenizer of the model at
    ``tokenizer_of``.

    Its output bias is set so that ``texts`` have ``active_terms`` on average: their number decides what
    screening leaves.
    """
    import torch
    from transformers import AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of, trust_remote_code=False)
    tokens = len(tokenizer)
    model = (fresh_masked_lm(shape, tokens) if shape else fresh_distilbert(tokens)).eval()
    with torch.inference_mode():
        pooled = [
            model(**tokenizer(text, truncation=True, max_length=512, return_tensors="pt"))
            .logits[0]
            .amax(dim=0)
            for text in texts
        ]
        model.get_output_embeddings().bias -= torch.stack(pooled).quantile(1 - active_terms / tokens)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_body(shape: Shape, tokenizer_of: Path, folder: Path) -> None:
    """Save a dense model's body of ``shape`` to ``folder``, with the tokenizer of the model at
    ``tokenizer_of``.
    """
    import torch
    from transformers import AutoTokenizer, BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of, trust_remote_code=False)
    BertModel(_config(shape, len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(shape: Shape, vocabulary: int) -> BertConfig:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary,
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
    )
