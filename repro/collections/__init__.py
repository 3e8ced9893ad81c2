"""Test collections: documents, queries and judgments, wherever they lie."""
