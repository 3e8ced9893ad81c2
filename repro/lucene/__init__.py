"""Lucene through the Anserini jar that Pyserini ships: the Java found, BM25 and impact indexes, searching."""
