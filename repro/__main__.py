"""List the stages: ``python -m repro``."""

import sys

import repro

STAGES = {
    "table": "everything below that is missing, up to the results table",
    "encode": "documents and queries into impact vectors or embeddings",
    "index": "Lucene (BM25, impacts) and FAISS indexes",
    "search": "TREC run files",
    "evaluate": "figures of run files, equal to trec_eval's",
    "bench": "speed beside Sentence Transformers and Pyserini",
    "doctor": "what is missing on this machine, and the fix",
    "pyserini": "Pyserini's own commands on the Java found",
}


def main() -> int:
    """Print one line a stage."""
    print(f"repro {repro.__version__}: reproducible learned-sparse retrieval\n")
    for name, what in STAGES.items():
        print(f"  python -m repro.{name:<9} {what}")
    print("\nEach has --help. Begin with: python -m repro.table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
