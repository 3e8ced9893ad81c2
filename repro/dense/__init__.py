"""Dense retrieval: encoding with Sentence Transformers, and FAISS; their OpenMP runtimes never share a
process.
"""
