"""Queries without inference: a query's vector is its own tokens, each with the same weight in all queries.

The weights are idf, counted in the index that is searched, or those that an inference-free model's folder
has (Sentence Transformers' SparseStaticEmbedding, frozen or learned). A token counts once, however often it
stands in the query, as there; [CLS] and [SEP] do not count, and with idf no other special token does.
Documents are a SPLADE model's, as in SPLADE-doc (Formal et al. 2021, arXiv:2109.10086), where all weights are
1; idf as weights is of Geng et al. 2024 (arXiv:2411.04403).
"""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from repro.base.errors import InputError
from repro.models.folder import first_line
from repro.models.router import documents_folder, read_router
from repro.models.systems import QUERY_MAX_LENGTH
from repro.models.weights import UNLOADABLE
from repro.splade.encoder import locate
from repro.splade.loading import load_tokenizer, terms_of, tokenize
from repro.splade.term_encoder import TermEncoder

IDF, FOLDER = "idf of the index", "the model's folder"
"""Where weights come from."""


class StaticQueryEncoder(TermEncoder):
    """Encodes queries as their own tokens, weighed by what ``model``'s folder has, or by idf in ``index``.

    ``model`` is a folder; a name on the Hub, ``owner/model`` or ``owner/model@revision``; or a SPLADE system
    of the table, such as ``splade-tiny``. ``index`` is an impact index of passages that it has encoded; an
    inference-free model, which has weights of its own, needs none.

    Raises InputError if the model is nowhere or has no tokenizer, for an index that is none, and where there
    is neither an index nor weights.

    Of a query, 256 tokens are kept unless ``encode`` is told otherwise, never more than the tokenizer keeps.
    A term that the index lacks has no weight, nor has one whose learned weight is not positive, since impacts
    are.

    Attributes beside those of every ``TermEncoder``: ``weights``, of each column (float32), and ``source``,
    where they come from. ``parameters`` are those of the model's folder.
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
        self.max_length, self.longest = QUERY_MAX_LENGTH["splade"], self.tokenizer.model_max_length

    def _encode(self, texts: list[str], max_length: int) -> csr_matrix:
        terms = len(self.weights)
        tokens = tokenize(self.tokenizer, texts, max_length, self.name, terms, special=False)
        rows = np.repeat(np.arange(len(tokens)), [len(ids) for ids in tokens])
        columns = np.fromiter((token for ids in tokens for token in ids), np.int64, len(rows))
        positive = self.weights[columns] > 0
        cells = np.unique(rows[positive] * terms + columns[positive])
        rows, columns = np.divmod(cells, terms)
        starts = np.searchsorted(rows, np.arange(len(tokens) + 1))
        shape = (len(tokens), terms)
        return csr_matrix((self.weights[columns], columns.astype(np.int32), starts.astype(np.int32)), shape)


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
