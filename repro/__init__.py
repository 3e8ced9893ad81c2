"""SPLADE Tiny MSMARCO, reproduced: small learned-sparse retrievers, from a collection to a measured table."""

__version__ = "0.1.0"
