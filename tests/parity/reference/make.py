"""Make the stored figures of a part of the sample, by the peers alone: none of this project's fast parts.

    python tests/parity/reference/make.py

Vectors are Sentence Transformers' in float32. Both indexes are Anserini's, the runs Pyserini's searches of
them. ``tests/parity/test_stored_reference.py`` compares with what is stored.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from repro.collections.opening import open_collection
from repro.lucene.java import prepare_jvm
from repro.lucene.pyserini import prepare_pyserini
from repro.models.systems import find_system
from repro.models.weights import resolve

FILE = Path(__file__).with_name("reference.json.gz")
QUERIES, PASSAGES, HITS = 24, 90, 20


def part_of_the_sample() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return passages (id, text) and queries: the first test queries, their answers, further passages."""
    sample = open_collection("sample")
    queries = [(query.id, query.text) for query in sample.queries()][:QUERIES]
    answers = {d for q, _ in queries for d, grade in sample.qrels()[q].items() if grade >= 2}
    documents = [(document.id, document.text) for document in sample.documents()]
    others = [identifier for identifier, _ in documents if identifier not in answers]
    kept = answers | set(others[: PASSAGES - len(answers)])
    return [document for document in documents if document[0] in kept], queries


def vectors(texts: list[str]) -> list[dict[str, float]]:
    """Return the weights that Sentence Transformers' SparseEncoder gives in float32."""
    from sentence_transformers import SparseEncoder

    encoder = SparseEncoder(str(resolve(find_system("splade-tiny")).path), device="cpu")
    terms = encoder.tokenizer.convert_ids_to_tokens(list(range(len(encoder.tokenizer))))
    dense = encoder.encode(texts, convert_to_sparse_tensor=False).numpy()
    return [{terms[i]: float(row[i]) for i in row.nonzero()[0]} for row in dense]


def impacts(vector: dict[str, float]) -> dict[str, int]:
    """Quantise as ``pyserini.encode`` does."""
    found = {term: round(weight / 5 * 256) for term, weight in vector.items()}
    return {term: impact for term, impact in found.items() if impact > 0}


def index(folder: Path, records: list[dict], *options: str) -> str:
    """Index records with Anserini through ``pyserini.index.lucene``; return the index."""
    (folder / "input").mkdir(parents=True)
    (folder / "input/records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    command = ["repro.pyserini", "index.lucene", "--input", str(folder / "input"), "--threads", "1"]
    command += ["--index", str(folder / "index"), "--generator", "DefaultLuceneDocumentGenerator", *options]
    subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.DEVNULL)
    return str(folder / "index")


def main() -> None:
    """Make the file."""
    documents, queries = part_of_the_sample()
    encoded = vectors([text for _, text in documents])
    asked = vectors([text for _, text in queries])
    with tempfile.TemporaryDirectory() as name:
        texts = [{"id": identifier, "contents": text} for identifier, text in documents]
        bm25 = index(Path(name, "bm25"), texts, "--collection", "JsonCollection")
        pairs = zip(documents, encoded)
        records = [{"id": d, "contents": text, "vector": impacts(v)} for (d, text), v in pairs]
        options = ["--collection", "JsonVectorCollection", "--impact", "--pretokenized"]
        impact = index(Path(name, "impact"), records, *options)
        prepare_jvm()
        prepare_pyserini()
        from pyserini.search.lucene import LuceneImpactSearcher, LuceneSearcher

        lexical = LuceneSearcher(bm25)
        lexical.set_bm25(0.9, 0.4)
        learned = LuceneImpactSearcher(impact, None)
        learned.query_encoder = SimpleNamespace(encode=lambda vector: vector)  # queries come encoded
        runs = {
            "bm25": {q: lexical.search(text, k=HITS) for q, text in queries},
            "impacts": {q: learned.search(impacts(v), k=HITS) for (q, _), v in zip(queries, asked)},
        }
        stored = {
            "documents": {d: v for (d, _), v in zip(documents, encoded)},
            "queries": {q: v for (q, _), v in zip(queries, asked)},
            "runs": {
                system: {q: [[hit.docid, round(hit.score, 4)] for hit in hits] for q, hits in run.items()}
                for system, run in runs.items()
            },
        }
    rounded = json.loads(json.dumps(stored), parse_float=lambda text: round(float(text), 6))
    with open(FILE, "wb") as file, gzip.GzipFile("", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(json.dumps(rounded, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
