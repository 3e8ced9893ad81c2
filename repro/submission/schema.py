"""The schema of ir_metadata, version 0.1: which keys a run's metadata may have, and the form of each value.

Its components follow PRIMAD: platform, research goal, implementation, method, actor, data (Breuer, Keller,
Schaer: "ir_metadata: An Extensible Metadata Schema for IR Experiments", SIGIR 2022; www.ir-metadata.org).
"""

from typing import Any

VERSION = 0.1
COMPONENTS = ("platform", "research goal", "implementation", "method", "actor", "data")

SCALAR = "a single value"
ANYTHING: dict[str, Any] = {"*": None}
"""A mapping whose keys are not laid down."""
SOURCE = {"name": SCALAR, "source": SCALAR, "qrels": SCALAR, "topics": SCALAR, "ir_datasets": SCALAR}
SCHEMA: dict[str, Any] = {
    "schema-version": SCALAR,
    "run-version": SCALAR,
    "tag": SCALAR,
    "platform": {
        "hardware": {
            "cpu": {
                "model": SCALAR,
                "architecture": SCALAR,
                "operation mode": SCALAR,
                "number of cores": SCALAR,
            },
            "gpu": {"architecture": SCALAR, "number of cores": SCALAR, "ram": SCALAR},
            "ram": SCALAR,
        },
        "operating system": {"platform": SCALAR, "kernel": SCALAR, "distribution": SCALAR},
        "software": {"libraries": {"*": [SCALAR]}, "retrieval toolkit": [SCALAR]},
    },
    "research goal": {
        "venue": {"name": SCALAR, "year": SCALAR},
        "publication": {"dblp": SCALAR, "doi": SCALAR, "arxiv": SCALAR, "url": SCALAR, "abstract": SCALAR},
        "evaluation": {
            "reported measures": [SCALAR],
            "baseline": [SCALAR],
            "significance test": [{"name": SCALAR, "correction method": SCALAR}],
        },
    },
    "implementation": {
        "executable": {"cmd": SCALAR},
        "source": {"lang": [SCALAR], "repository": SCALAR, "commit": SCALAR},
    },
    "method": {
        "automatic": SCALAR,
        "score ties": SCALAR,
        "indexing": {"tokenizer": SCALAR, "stemmer": SCALAR, "stopwords": SCALAR},
        "retrieval": [ANYTHING],
    },
    "actor": {
        "name": SCALAR,
        "orcid": SCALAR,
        "team": SCALAR,
        "fields": [SCALAR],
        "mail": SCALAR,
        "role": SCALAR,
        "degree": SCALAR,
        "github": SCALAR,
        "twitter": SCALAR,
    },
    "data": {"test collection": SOURCE, "training data": [SOURCE], "other": [SOURCE]},
}
"""A mapping's keys ("*": any), a list of one form, or SCALAR. The schema's own software,
repro_eval, writes ``platform`` of the operating system."""


def problems(metadata: object, whole: bool = True) -> list[str]:
    """Return what is wrong with metadata, a sentence each: unknown keys, values of another form.

    With ``whole``, also the components that are missing.
    """
    found = list(_problems(metadata, SCHEMA, ""))
    if whole and isinstance(metadata, dict):
        found += [f"{name} is missing" for name in ("tag", *COMPONENTS) if name not in metadata]
    return found


def _problems(value: object, form: Any, where: str) -> list[str]:
    """Compare a value with a form of SCHEMA; None stands for any."""
    here = where or "the metadata"
    if form is None:
        return []
    if isinstance(form, list):
        if not isinstance(value, list):
            return [f"{here}: expected a list"]
        return [text for i, item in enumerate(value, 1) for text in _problems(item, form[0], f"{here} [{i}]")]
    if form == SCALAR:
        return [f"{here}: expected {SCALAR}"] if isinstance(value, dict | list) else []
    if not isinstance(value, dict):
        return [f"{here}: expected keys and values"]
    found = []
    for key, item in value.items():
        path = f"{where} -> {key}" if where else str(key)
        if key not in form and "*" not in form:
            found.append(f"{path}: no key of ir_metadata; expected one of {', '.join(form)}")
        else:
            found += _problems(item, form.get(key, form.get("*")), path)
    return found
