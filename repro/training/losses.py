"""What is learned of a teacher's scores, and what keeps the vectors sparse meanwhile."""

import math
from typing import Any

import torch
import torch.distributed
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.callbacks.splade_callbacks import (
    SpladeRegularizerWeightSchedulerCallback,
)
from sentence_transformers.sparse_encoder.losses import (
    FlopsLoss,
    SparseDistillKLDivLoss,
    SparseMarginMSELoss,
    SpladeLoss,
)
from torch import Tensor, nn
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

GAIN, AT_ONCE = 0.3, 3.0
"""Of the controller: by how much the logarithm of a weight changes a step, and by how much it differs while
they last, for terms at twice what they are held to. Active terms follow a weight some twenty steps late.
"""
LEAST, MOST = 0.1, 100.0
"""Of the recipe's weight, between which the controller keeps its own: one that has fallen for long, while
there were few terms, is not back in time.
"""
FARTHEST = 100.0
"""Excess of terms that is told apart: a weight is at MOST long before, and exp would overflow."""
SMOOTHING = 0.8
"""Share of the steps before in the controller's count of active terms, which varies from batch to batch."""


class Distillation(nn.Module):
    """The loss over a query's candidates: its positive and its negatives, whose margins are the labels.

    ``margin_mse`` is the squared error of margins (Hofstätter et al. 2020, arXiv:2010.02666), ``kl`` the
    divergence of the candidates' softmax (Lin et al. 2020, arXiv:2010.11386), ``both`` their sum. Scores are
    divided by ``temperature``, those of the model and those to be learned alike. With ``in_batch``, the
    positives of the batch's other queries are negatives of a query, too (InfoNCE on scores divided by
    ``temperature``), in a term of its own.
    """

    def __init__(self, model: SparseEncoder, kind: str, temperature: float, in_batch: bool) -> None:
        super().__init__()
        self.temperature, self.in_batch = temperature, in_batch
        self.margins = SparseMarginMSELoss(model) if kind != "kl" else None
        self.divergence = (
            SparseDistillKLDivLoss(model, temperature=temperature) if kind != "margin_mse" else None
        )

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """Return the loss of queries, positives and negatives (each texts x vocabulary); labels: texts x
        negatives.
        """
        scores = torch.cat([torch.zeros_like(labels[:, :1]), -labels], dim=1)
        # both of the library's are in squares of scores, its divergence multiplied by the temperature's
        loss = labels.new_zeros(())
        for part in (self.margins, self.divergence):
            if part is not None:
                loss = loss + part.compute_loss_from_embeddings(embeddings, scores) / self.temperature**2
        if self.in_batch:
            products = embeddings[0] @ embeddings[1].T / self.temperature
            products = products.masked_fill(_repeated(embeddings[1]), float("-inf"))
            loss = loss + nn.functional.cross_entropy(
                products, torch.arange(len(products), device=products.device)
            )
        return loss


def _repeated(positives: Tensor) -> Tensor:
    """Tell, queries x positives, which are a query's own positive, though another query's row has them."""
    vectors = positives.detach()
    size = (vectors**2).sum(dim=1)
    apart = size[:, None] + size[None, :] - 2 * vectors @ vectors.T
    same = apart <= 1e-5 * (size[:, None] + size[None, :])
    return same & ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)


class GlobalFlops(FlopsLoss):
    """The FLOPS term of the whole batch, whatever the number of processes it is spread over; counts active
    terms, too.
    """

    active_terms: Tensor
    """A text's, on average over the last batch."""

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """Return the sum over terms of the squared mean weight."""
        active = (embeddings.detach() > 0).sum(dim=1).float().mean()
        mean = embeddings.mean(dim=0)
        if torch.distributed.is_initialized() and self.training:
            from torch.distributed.nn.functional import all_reduce

            processes = torch.distributed.get_world_size()
            mean = all_reduce(mean) / processes
            torch.distributed.all_reduce(active)
            active = active / processes
        self.active_terms = active
        return (mean**2).sum()


class ActiveTermsController(SpladeRegularizerWeightSchedulerCallback, ExportableState):
    """Holds active terms by the weights of the regularisers, which a recipe would have to guess.

    A proportional-integral controller of the weights' logarithms: with e = terms / held - 1, an integral is
    multiplied by exp(GAIN e) after each step, and the weight is that times exp(AT_ONCE e), both between
    LEAST and MOST of the recipe's. An integral alone overshoots: it has grown for as long as there were too
    many terms when they begin to go. It can only take terms away: a model whose scores need fewer has fewer.
    It stands in the place of the library's schedule of these weights, which its trainer would add where there
    is none.
    """

    def __init__(self, loss: SpladeLoss, query_terms: float, document_terms: float) -> None:
        super().__init__(loss)
        self.held = {"query": query_terms, "document": document_terms}
        self.first = {part: getattr(loss, f"{part}_regularizer_weight") for part in self.held}
        self.integrals = dict(self.first)
        self.counted: dict[str, float] = {}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"args": {}, "attributes": {"integrals": self.integrals, "counted": self.counted}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Take up what the checkpoint kept that the training goes on from."""
        callbacks: Any = state.stateful_callbacks  # of a checkpoint: the states by the callbacks' names
        kept = callbacks.get(type(self).__name__) if isinstance(callbacks, dict) else None
        if state.global_step and isinstance(kept, dict):
            self.integrals, self.counted = kept["attributes"]["integrals"], kept["attributes"]["counted"]
        self._set()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the weights as the last step has moved them."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Move the weights by what the step counted."""
        for part in self.held:
            terms = float(getattr(self.loss, f"{part}_regularizer").active_terms)
            self.counted[part] = SMOOTHING * self.counted.get(part, terms) + (1 - SMOOTHING) * terms
            self.integrals[part] = self._within(
                part, self.integrals[part] * math.exp(GAIN * self._excess(part))
            )
        self._set()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Record the weights, as the library's schedule of them does."""
        if logs is not None:
            names = [f"{part}_regularizer_weight" for part in self.held]
            logs.update({name: getattr(self.loss, name) for name in names})

    def _set(self) -> None:
        for part, integral in self.integrals.items():
            weight = self._within(part, integral * math.exp(AT_ONCE * self._excess(part)))
            setattr(self.loss, f"{part}_regularizer_weight", weight)

    def _excess(self, part: str) -> float:
        """Return by which share there are more terms than are held, up to FARTHEST; 0 before any were
        counted.
        """
        return min(self.counted.get(part, self.held[part]) / self.held[part] - 1, FARTHEST)

    def _within(self, part: str, weight: float) -> float:
        return min(max(weight, self.first[part] * LEAST), self.first[part] * MOST)
