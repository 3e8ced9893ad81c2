"""The ir_metadata of a run, from its manifest and from those of what it was made from."""

from typing import Any

from repro.submission.lineage import Lineage
from repro.submission.schema import VERSION

TIES = {
    "anserini": "docid ascending (as Anserini's BREAK_SCORE_TIES_BY_DOCID)",
    "trec_eval": "docid descending (as trec_eval)",
}
LOWERED = "; in the run file a tied score is the next smaller 32-bit float"
ANALYSIS = {
    "tokenizer": "org.apache.lucene.analysis.standard.StandardTokenizer",
    "stemmer": "org.apache.lucene.analysis.en.PorterStemFilter",
    "stopwords": "org.apache.lucene.analysis.en.EnglishAnalyzer.ENGLISH_STOP_WORDS_SET",
}
"""Of Anserini's DefaultEnglishAnalyzer, which BM25's indexes and queries go through."""
METHODS = {
    "bm25": "BM25 (org.apache.lucene.search.similarities.BM25Similarity)",
    "splade": "dot product of learned impacts of terms (SPLADE), exact, by Lucene",
    "splade-doc": "dot product of a document's learned impacts of terms (SPLADE) and static weights of the "
    "query's own tokens, exact, by Lucene",
    "dense": "inner product of embeddings, by FAISS",
    "fusion": "reciprocal rank fusion",
    "reranking": "cross-encoder over the first documents of the run",
}
TOOLKITS = {"bm25": "pyserini", "splade": "pyserini", "splade-doc": "pyserini", "dense": "faiss-cpu"}
"""Of the kinds that search an index."""
ON_LUCENE = {"bm25", "splade", "splade-doc"}
NOT_A_PARAMETER = ("stage", "format", "index", "queries", "runs", "weights", "method", "ties", "tag")
"""Inputs of a run that are told elsewhere in the metadata, or only identify files."""


def describe(
    tag: str,
    lineage: Lineage | None,
    collection: dict[str, Any],
    measures: list[str],
    team: str | None,
    details: dict[str, Any],
) -> dict[str, Any]:
    """Return a run's metadata, all components of the schema; what is not known of the run is left out.

    ``lineage`` is None for a run without a manifest. ``details`` go over what is computed, key by key.
    """
    computed: dict[str, Any] = {
        "schema-version": VERSION,
        "run-version": 1.0,
        "tag": tag,
        "platform": _platform(lineage) if lineage else {},
        "research goal": {"evaluation": {"reported measures": measures}} if measures else {},
        "implementation": _implementation(lineage) if lineage else {},
        "method": _method(lineage) if lineage else {},
        "actor": {"team": team} if team else {},
        "data": {"test collection": collection},
    }
    return _merged(computed, details)


def _platform(lineage: Lineage) -> dict[str, Any]:
    """Return the hardware, operating system and software that the manifest tells."""
    made = lineage.made
    machine: dict[str, Any] = {name: made[name] for name in ("hardware", "operating system") if name in made}
    # manifests before there were these have "x86_64, 16 processors"
    architecture, _, processors = str(made.get("machine", "")).partition(", ")
    cores = processors.removesuffix(" processors")
    if cores.isdigit():
        machine = {"hardware": {"cpu": {"architecture": architecture, "number of cores": int(cores)}}}
    return {**machine, "software": _software(lineage)}


def _software(lineage: Lineage) -> dict[str, Any]:
    """Return the versions that the manifest tells, and the toolkits of the searched indexes."""
    versions: dict[str, str] = dict(lineage.made.get("versions", {}))
    project = versions.pop("repro", None)
    libraries = {"python": [f"{name}=={version}" for name, version in versions.items()]}
    if java := sorted({f"lucene=={part.lucene}" for part in lineage.searched() if part.lucene}):
        libraries["java"] = java
    used = {TOOLKITS.get(part.kind or "", "") for part in lineage.searched()} & versions.keys()
    toolkit = [f"splade-tiny-msmarco=={project}"] if project else []
    return {
        "libraries": libraries,
        "retrieval toolkit": [*toolkit, *(f"{name}=={versions[name]}" for name in sorted(used))],
    }


def _implementation(lineage: Lineage) -> dict[str, Any]:
    java = ["java"] if ON_LUCENE & {part.kind for part in lineage.searched()} else []
    implementation: dict[str, Any] = {"source": {"lang": ["python", *java]}}
    if command := lineage.made.get("command"):
        implementation = {"executable": {"cmd": command}, **implementation}
    return implementation


def _method(lineage: Lineage) -> dict[str, Any]:
    method: dict[str, Any] = {"automatic": True}
    if ties := TIES.get(lineage.run.get("ties", "")):
        method["score ties"] = ties + LOWERED
    kinds = {part.kind for part in lineage.searched()}
    if "bm25" in kinds:
        method["indexing"] = dict(ANALYSIS)
    elif kinds & TOOLKITS.keys():
        method["indexing"] = {"tokenizer": "the model's own"}
    method["retrieval"] = _stages(lineage)
    return method


def _stages(lineage: Lineage) -> list[dict[str, Any]]:
    """Return the stages of a pipeline, those that a run combines before it."""
    stages = [stage for part in lineage.parts for stage in _stages(part)]
    own: dict[str, Any] = {"name": lineage.system or "retrieval"}
    if lineage.kind in METHODS:
        own["method"] = METHODS[lineage.kind]
    names = [part.system or "retrieval" for part in lineage.parts]
    if names and lineage.kind:
        own |= {"reranks": names[0]} if lineage.kind == "reranking" else {"interpolates": names}
    if lineage.weights:
        own["model"] = dict(lineage.weights)
    params = {name: value for name, value in lineage.run.items() if name not in NOT_A_PARAMETER}
    own["params"] = {**params, **lineage.encoding}
    return [*stages, own]


def _merged(computed: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    """Return ``computed`` with ``details`` over it, mapping by mapping."""
    merged = dict(computed)
    for key, value in details.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
