"""Queries without inference: a query's vector is its own tokens, each with the same weight in all queries.

The weights are idf, counted in the index that is searched, or those that an inference-free model's folder
has (Sentence Transformers' SparseStaticEmbedding, frozen or learned). A token counts once, however often it
stands in the query, as there; [CLS] and [SEP] do not count, and with idf no other special token does.
Documents are a SPLADE model's, as in SPLADE-doc (Formal et al. 2021, arXiv:2109.10086), where all weights are
1; idf as weights is of Geng et al. 2024 (arXiv:2411.04403).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.router import documents_folder, read_router
from repro.models.systems import QUERY_MAX_LENGTH
from repro.models.weights import UNLOADABLE
from repro.splade.encoder import SCALE, impacts_of, locate
from repro.splade.loading import load_tokenizer, terms_of, tokenize

IDF, FOLDER = "idf of the index", "the model's folder"
"""Where weights come from."""


class StaticQueryEncoder:
    """Encodes queries as their own tokens, weighed by what ``model``'s folder has, or by idf in ``index``.

    ``model`` is a folder; a name on the Hub, ``owner/model`` or ``owner/model@revision``; or a SPLADE system
    of the table, such as ``splade-tiny``. ``index`` is an impact index of passages that it has encoded; an
    inference-free model, which has weights of its own, needs none.

    Raises InputError if the model is nowhere or has no tokenizer, for an index that is none, and where there
    is neither an index nor weights.

    Attributes: ``vocabulary``, the term of each column; ``weights``, of each column (float32); ``source``,
    where they come from; ``parameters``, how many the model's folder has.
    """

    def __init__(self, model: str | Path, index: str | Path | None = None) -> None:
        self.name = str(model)
        folder = model if isinstance(model, Path) else locate(model)
        router = read_router(folder)
        if router is not None:
            self.source = FOLDER
            self.tokenizer = load_tokenizer(folder / router.queries)
            self.weights = _own_weights(folder, router.queries)
            self.vocabulary = terms_of(self.tokenizer, len(self.weights))
        elif index is not None:
            from repro.lucene.statistics import document_frequencies

            self.source = IDF
            self.tokenizer = load_tokenizer(documents_folder(folder))
            self.vocabulary = terms_of(self.tokenizer, max(self.tokenizer.get_vocab().values()) + 1)
            special = set(self.tokenizer.all_special_tokens)
            documents, counted = document_frequencies(Path(index))
            found = (0 if term in special else counted.get(term, 0) for term in self.vocabulary)
            frequencies = np.fromiter(found, np.int64, len(self.vocabulary))
            self.weights = np.where(frequencies > 0, idf(documents, frequencies), 0).astype(np.float32)
        else:
            raise InputError(f"{model} has no weights of queries' tokens; name an index, whose idf is taken")
        self.parameters = len(self.weights) if router is not None else 0

    def encode(self, texts: Iterable[str], max_length: int | None = None, prefix: str = "") -> csr_matrix:
        """Return the weights of ``texts``: float32, texts x vocabulary, positive, term ids ascending.

        ``prefix`` is put before each text; ``max_length`` tokens are kept of both (default: 256; never more
        than the tokenizer keeps). A term that the index lacks has no weight, nor has one whose learned weight
        is not positive, since impacts are.

        TypeError for one text that is not in a list; InputError if the tokenizer cannot take a text, or gives
        it a token beyond the weights.
        """
        if isinstance(texts, str):
            raise TypeError("texts: expected a list or another iterable of strings, found one string")
        prefixed = [prefix + text for text in texts]
        if not prefixed:
            return csr_matrix((0, len(self.weights)), dtype=np.float32)
        kept = min(max_length or QUERY_MAX_LENGTH["splade-doc"], self.tokenizer.model_max_length)
        tokens = tokenize(self.tokenizer, prefixed, kept, self.name, len(self.weights), special=False)
        rows = np.repeat(np.arange(len(tokens)), [len(ids) for ids in tokens])
        columns = np.fromiter((token for ids in tokens for token in ids), np.int64, len(rows))
        positive = self.weights[columns] > 0
        cells = np.unique(rows[positive] * len(self.weights) + columns[positive])
        rows, columns = np.divmod(cells, len(self.weights))
        starts = np.searchsorted(rows, np.arange(len(tokens) + 1))
        shape = (len(tokens), len(self.weights))
        return csr_matrix((self.weights[columns], columns.astype(np.int32), starts.astype(np.int32)), shape)

    def impacts(
        self, texts: Iterable[str], max_length: int | None = None, prefix: str = "", scale: float = SCALE
    ) -> Iterator[dict[str, int]]:
        """Yield each text as {term: impact}; impacts are round(weight x scale), from 1 up."""
        yield from self.impact_vectors(self.encode(texts, max_length, prefix), scale)

    def impact_vectors(self, vectors: csr_matrix, scale: float = SCALE) -> Iterator[dict[str, int]]:
        """Yield each row of what ``encode`` returned as {term: impact} (see ``impacts``)."""
        return impacts_of(vectors, self.vocabulary, scale)


def idf(documents: int, frequencies: np.ndarray) -> np.ndarray:
    """Return the inverse document frequency of terms that stand in ``frequencies`` of ``documents``.

    ln(1 + (N - n + 0.5) / (n + 0.5)), as Lucene's BM25Similarity has it: positive for every n from 0 to N.
    """
    found = frequencies.astype(np.float64)
    return np.log1p((documents - found + 0.5) / (found + 0.5))


def _own_weights(folder: Path, queries: str) -> np.ndarray:
    """Return the static weights that a model's folder has in the subfolder ``queries``."""
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

    try:
        module = SparseStaticEmbedding.load(str(folder), subfolder=queries, local_files_only=True)
    except UNLOADABLE as error:
        raise InputError(
            f"{folder / queries} does not load as static weights ({first_line(error)})"
        ) from error
    weights = module.weight.detach().float().numpy()
    if not np.isfinite(weights).all():
        raise InputError(f"{folder / queries}: not all weights are finite numbers; fetch the model again")
    return weights
