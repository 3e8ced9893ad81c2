"""What is read from and written to disk: impact vectors, embeddings, TREC runs and judgments."""
