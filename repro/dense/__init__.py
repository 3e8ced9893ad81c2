"""Dense retrieval: encoding with Sentence Transformers, and FAISS. The two never share a process (OpenMP runtimes clash)."""
