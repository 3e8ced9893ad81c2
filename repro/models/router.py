"""Folders of inference-free models: Sentence Transformers' Router, a SPLADE model for documents and a static
weight of each token for queries.

Each side is a subfolder; or, as in OpenSearch's models and in those trained here, the SPLADE model lies at
the folder's top, where everything that reads masked language models finds it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.base.errors import InputError
from repro.base.files import read_json

CONFIG = "router_config.json"
MASKED_LM = ("Transformer", "MLMTransformer")
STATIC = ("SparseStaticEmbedding", "IDF")
"""Names that Sentence Transformers has given to the classes."""


@dataclass(frozen=True)
class Router:
    """Where the sides of a model lie in its folder: ``documents``, the masked language model, and
    ``queries``, the static weights; each a path relative to the folder.
    """

    documents: str
    queries: str


def read_router(folder: Path) -> Router | None:
    """Return where the sides of an inference-free model lie; None for a folder without a Router.

    InputError for a Router of other modules than a masked language model with SPLADE-max pooling and static
    weights.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    match read_json(path):
        case {
            "types": dict(types),
            "structure": {"document": [str(documents), str(pooling)], "query": [str(queries)]},
        } if (
            _is(types.get(documents), MASKED_LM)
            and _is(types.get(pooling), ("SpladePooling",))
            and _is(types.get(queries), STATIC)
        ):
            _check_pooling(folder / pooling / "config.json")
            return Router(documents, queries)
    raise InputError(
        f"{path}: expected a masked language model with SpladePooling for documents, and a "
        "SparseStaticEmbedding for queries, all of Sentence Transformers; take another model"
    )


def documents_folder(folder: Path) -> Path:
    """Return the folder of the masked language model in a model's folder, which is the same as a rule."""
    router = read_router(folder)
    return folder / router.documents if router else folder


def _is(name: Any, classes: tuple[str, ...]) -> bool:
    """Tell whether the name of a class is of Sentence Transformers, and one of ``classes``."""
    parts = name.split(".") if isinstance(name, str) else [""]
    return parts[0] == "sentence_transformers" and parts[-1] in classes


def _check_pooling(path: Path) -> None:
    config = read_json(path) or {}
    found = config.get("pooling_strategy", "max"), config.get("activation_function", "relu")
    if found != ("max", "relu"):
        raise InputError(
            f"{path}: only pooling with max and relu is computed here, found {found[0]} and {found[1]}; take "
            "another model"
        )
