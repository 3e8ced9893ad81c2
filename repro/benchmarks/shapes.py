"""Models with random weights in the shapes of BERT-Mini and BERT-Small, to measure speed where the trained
ones cannot be had.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from repro.training.pretraining import fresh_model

ACTIVE_TERMS = 130
"""A text's, on average, as splade-tiny has on MS MARCO's passages; their number decides what screening
leaves.
"""


def make(shape: str, tokenizer_of: Path, texts: Iterable[str], folder: Path) -> None:
    """Save a model of ``shape`` (BERT's tiny, mini or small) to ``folder``.

    Its output bias is set so that ``texts`` have ACTIVE_TERMS on average.
    """
    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of, trust_remote_code=False)
    model = fresh_model(shape, len(tokenizer)).eval()
    with torch.inference_mode():
        pooled = [
            model(**tokenizer(text, truncation=True, max_length=512, return_tensors="pt"))
            .logits[0]
            .amax(dim=0)
            for text in texts
        ]
        model.get_output_embeddings().bias -= torch.stack(pooled).quantile(1 - ACTIVE_TERMS / len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
