"""SPLADE: a masked language model whose pooled logits are sparse term weights.

The only package that runs such models.
"""
