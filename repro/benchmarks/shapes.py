"""The shapes of ``bench``'s models of random weights, to measure speed where trained ones cannot be had."""

from collections.abc import Iterable
from pathlib import Path

from repro.models.random_weights import save_body, save_masked_lm
from repro.models.systems import Shape
from repro.training.pretraining import SHAPES

ACTIVE_TERMS = 130
"""Of a text for random weights, on average, as splade-tiny has on MS MARCO's passages."""
DENSE = {"minilm-l12": Shape(12, 384, 12), "base": Shape(12, 768, 12)}
"""Of arctic-embed-s and e5-small-v2, and of BERT-base and arctic-embed-m."""


def make_splade(shape: str, tokenizer_of: Path, texts: Iterable[str], folder: Path) -> None:
    """Save a SPLADE model of ``shape`` (BERT's tiny, mini or small, or distilbert) to ``folder``."""
    of = None if shape == "distilbert" else SHAPES[shape]
    save_masked_lm(of, tokenizer_of, texts, ACTIVE_TERMS, folder)


def make_dense(shape: str, tokenizer_of: Path, folder: Path) -> None:
    """Save a dense model of one of the shapes in DENSE to ``folder``: the normalised mean of its tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    save_body(DENSE[shape], tokenizer_of, folder)
    modules = [Transformer(str(folder)), Pooling(DENSE[shape].hidden, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
