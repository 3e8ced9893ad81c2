"""A factor for each term of the vocabulary, by which its logits are multiplied once a training is over.

What a collection's candidates have in common tells them apart no more, whatever it means elsewhere; a
language model of 4 million parameters learns that slowly, term by term, through all its layers. A factor a
term learns it at once: of a text whose largest logit of term v is z > 0, the weight becomes
log(1 + c_v z), and c = e^a minimises, over rows of a query, a passage and negatives,

    mean_rows sum_negatives (margin(a) - learned margin)^2 + prior sum_v a_v^2                          (1)

margin: the difference of the dot products. Factors are positive, so a text has the very terms that it had,
and since max over tokens and positive factors commute, (1) needs each text encoded once, as it is. L-BFGS
(SciPy's) finds the minimum in some seconds.

The factors go into the output layer's rows and biases, so the model is a masked language model as any other;
but these rows are no longer the embeddings of the input, and a checkpoint has both.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import optimize, sparse
from torch import nn

from repro.base.progress import bar
from repro.splade.encoder import SpladeEncoder
from repro.splade.sparse_encoder import splade_max
from repro.training.base_margins import encoded
from repro.training.choice import Weights
from repro.training.rows import passages_of

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SparseEncoder

PRIOR = 9.0
"""Of (1), in units of a term's squared product in a row, on average over the vocabulary."""
MOST_ROWS = 10_000
"""That factors are fitted to: their number does not grow with the rows'."""
ITERATIONS = 100


class TermFactors:
    """Fits the factors of a SPLADE-max ``model``'s terms, whose output layer has weights of its own from now
    on.

    ``rows`` have a query, a positive passage, negatives, and the margins to be learned (``label``): all
    negatives that there are, though a training may look at some. Of their texts, ``max_length`` tokens count.
    """

    def __init__(self, model: "SparseEncoder", rows: "Dataset", max_length: int, threads: int) -> None:
        parts = splade_max(model)
        self.model, self.config, self.layer = model, parts.masked_lm.config, parts.layer
        self.rows = rows.select(range(min(MOST_ROWS, len(rows))))
        self.max_length, self.threads = max_length, threads
        biases = [
            name for name, one in model.named_parameters(remove_duplicate=False) if one is self.layer.bias
        ]
        modules = [name for name, one in model.named_modules() if one is self.layer]
        self.names = {*biases, *(f"{name}.weight" for name in modules)}  # in the model's state
        self.shared = self.layer.weight, self.layer.bias, self.config.tie_word_embeddings
        self.layer.weight = nn.Parameter(self.layer.weight.detach().clone())
        if self.layer.bias is not None:
            self.layer.bias = nn.Parameter(self.layer.bias.detach().clone())
        self.config.tie_word_embeddings = False

    def share(self) -> None:
        """Let the output layer have its rows in common with the embeddings again, if it had."""
        self.layer.weight, self.layer.bias, self.config.tie_word_embeddings = self.shared

    def scale(self, weights: Weights) -> None:
        """Leave weights in the model with the factors that fit them best."""
        self.model.load_state_dict(weights)
        with bar(1, "fitting factors of terms", "models") as progress:
            self.model.load_state_dict(self.applied(self.fit(), weights))
            progress.update()

    def applied(self, factors: np.ndarray, weights: Weights) -> Weights:
        """Return weights of the model with factors, one a term of the vocabulary."""
        by = torch.from_numpy(factors).float()
        return {
            name: weight * (by[:, None] if weight.ndim == 2 else by) if name in self.names else weight
            for name, weight in weights.items()
        }

    def fit(self, prior: float = PRIOR) -> np.ndarray:
        """Return the factor of each term of the vocabulary for the model as it is (float64, positive): 1 of
        terms that no query has in common with a passage.
        """
        encoder, columns = SpladeEncoder(self.model, self.threads, device="cpu"), passages_of(self.rows)
        queries, of_query = encoded(encoder, self.rows["query"], self.max_length)
        texts = [text for column in columns for text in self.rows[column]]
        passages, of_text = encoded(encoder, texts, self.max_length)
        of_pair = of_text.reshape(len(columns), -1).T.ravel()  # row by row
        query_weights = queries[np.repeat(of_query, len(columns))]
        return np.exp(_minimum(query_weights, passages[of_pair], np.array(self.rows["label"]), prior))


def _minimum(
    queries: sparse.csr_matrix, passages: sparse.csr_matrix, learned: np.ndarray, prior: float
) -> np.ndarray:
    """Return a of (1), for each term.

    queries, passages: (rows x candidates) x vocabulary, weights; learned: rows x negatives.
    """
    rows, candidates = len(learned), learned.shape[1] + 1
    of_queries, of_passages = queries.multiply(passages > 0).tocsr(), passages.multiply(queries > 0).tocsr()
    for weights in (of_queries, of_passages):
        weights.sort_indices()
    pair = np.repeat(np.arange(rows * candidates), np.diff(of_queries.indptr))
    used, term = np.unique(of_queries.indices, return_inverse=True)
    in_query, in_passage = (np.expm1(w.data.astype(np.float64)) for w in (of_queries, of_passages))  # logits
    products = of_queries.data * of_passages.data
    penalty = prior * float(products.astype(np.float64) @ products) / rows / queries.shape[1]

    def objective(a: np.ndarray) -> tuple[float, np.ndarray]:
        factors = np.exp(a)[term]
        z, y = factors * in_query, factors * in_passage
        weight, other = np.log1p(z), np.log1p(y)
        scores = np.bincount(pair, weight * other, rows * candidates).reshape(rows, candidates)
        error = scores[:, :1] - scores[:, 1:] - learned
        of_score = 2 / rows * np.concatenate([error.sum(axis=1, keepdims=True), -error], axis=1)
        slope = z / (1 + z) * other + y / (1 + y) * weight
        gradient = np.bincount(term, of_score.ravel()[pair] * slope, len(used)) + 2 * penalty * a
        return float((error**2).sum() / rows + penalty * (a @ a)), gradient

    found = optimize.minimize(
        objective, np.zeros(len(used)), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    a = np.zeros(queries.shape[1])
    a[used] = found.x
    return a
