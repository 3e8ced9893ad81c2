"""Masked-language-model training of a small BERT from random weights, for a few minutes on a CPU
(Devlin et al. 2019, arXiv:1810.04805).

Where no pretrained BERT-Tiny can be had, this makes a base that knows a collection's words. Three things
differ from BERT's training, so that minutes are worth something: logits are computed at the chosen positions
alone; the output layer's bias begins as the logarithm of the words' frequencies, which is what the first
thousand steps would learn; and more tokens are chosen, of which more are left as they are, since a model
learns soon to return its own words, which SPLADE needs, and late to guess others'.
"""

import itertools
import math
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertForMaskedLM, PreTrainedTokenizerBase

from repro.artifacts.store import Artifact, refuse_foreign, refuse_other_settings
from repro.base.errors import InputError
from repro.base.progress import bar, note, track
from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.training_options import TrainingOptions
from repro.models.random_weights import fresh_masked_lm
from repro.models.systems import Shape, table_systems
from repro.models.weights import resolve
from repro.pipeline.opening import open_corpus

FORMAT = 1
SHAPES = {"tiny": Shape(2, 128, 2), "mini": Shape(4, 256, 4), "small": Shape(4, 512, 8)}
"""BERT-Tiny, -Mini and -Small (Turc et al. 2019, arXiv:1908.08962)."""
CHOSEN = 0.4
"""Share of the tokens that are to be predicted; of these ..."""
MASKED, KEPT = 0.5, 0.4
"""... are replaced by [MASK], left as they are; the rest becomes a random token (BERT: 0.15; 0.8, 0.1)."""
BATCH_TOKENS = 1024
CHUNK = 1000
MAX_LENGTH = 128
LEARNING_RATE = 2e-3
WARM_UP = 0.05
MOST_TEXTS = 500_000
"""Texts that are trained on, drawn from a larger collection: more than hours on a CPU go through."""


class Facts(TypedDict):
    """What a manifest says of a training; losses are mean cross-entropies in nats.

    ``loss`` is that of the last tenth of the time.
    """

    steps: int
    tokens: int
    first_loss: float
    loss: float


def pretrain(collection: str, options: TrainingOptions, work: WorkOptions) -> Artifact:
    """Train a masked language model on a collection's texts unless it is there; return it.

    Its vocabulary is splade-tiny's. InputError if --output has one of other settings, without --force.
    """
    refuse_foreign(options.output)
    vocabulary = resolve(table_systems()["splade-tiny"])
    corpus = open_corpus(CollectionOptions(collection), work)
    inputs = {
        "stage": "pretrain",
        "format": FORMAT,
        "corpus": corpus.summary.sha256,
        "vocabulary": vocabulary.sha256,
        "shape": options.shape,
        "minutes": options.minutes,
    }
    name = f"mlm-{options.shape}.{corpus.collection.corpus}"
    model = Artifact(options.output or work.work / "trained" / name, inputs)
    if work.force or not model.is_current():
        refuse_other_settings(model, work.force, "repro.train --mlm")  # sooner than when another is done
        with model.making(work.wait):
            refuse_other_settings(model, work.force, "repro.train --mlm")
            if work.force or not model.is_current():
                folder = model.begin()
                texts = (document.text for document in corpus.collection.documents() if document.text)
                facts = train_masked(
                    texts, vocabulary.path, options.shape, options.minutes, folder, work.threads
                )
                model.finish(folder, **facts, weights=vocabulary.record())
    return model


def fresh_model(shape: str, vocabulary: int) -> BertForMaskedLM:
    """Return a model of ``shape`` (see ``SHAPES``) with random weights, for so many tokens."""
    return fresh_masked_lm(SHAPES[shape], vocabulary)


def train_masked(
    texts: Iterable[str],
    tokenizer_of: Path,
    shape: str,
    minutes: float,
    folder: Path,
    threads: int,
    seed: int = 42,
) -> Facts:
    """Train on ``texts`` for ``minutes``, save model and tokenizer to ``folder``; return what was counted.

    ``tokenizer_of`` is the folder whose tokenizer the model gets. InputError if there is no text to train on,
    or the training diverged.
    """
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of, trust_remote_code=False, local_files_only=True)
    model = fresh_model(shape, len(tokenizer)).train()
    encoded = _tokenised(draw(texts, MOST_TEXTS, seed), tokenizer)
    if not encoded:
        raise InputError("the collection has no texts to train on")
    counts = np.bincount(np.concatenate(encoded), minlength=len(tokenizer)) + 0.1
    with torch.no_grad():
        model.cls.predictions.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    started, steps, tokens, losses = time.perf_counter(), 0, 0, []
    with bar(100, "pretraining", "% of the time") as progress:
        for ids, mask in _batches(encoded, tokenizer.pad_token_id, seed):
            done = (time.perf_counter() - started) / (60 * minutes)
            if done >= 1:
                break
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))
            loss = _masked_loss(model, ids, mask, tokenizer)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            steps, tokens = steps + 1, tokens + int(mask.sum())
            losses.append((done, loss.item()))
            progress.update(int(100 * done) - progress.n)
    last = float(np.mean([loss for done, loss in losses if done >= 0.9] or [losses[-1][1]]))
    if not math.isfinite(losses[-1][1]):
        raise InputError(f"the loss was {losses[-1][1]} after {steps:,} steps: the training diverged")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    note(f"{shape}: {steps:,} steps, {tokens:,} tokens, loss {losses[0][1]:.2f} to {last:.2f}")
    return {"steps": steps, "tokens": tokens, "first_loss": losses[0][1], "loss": last}


def draw(texts: Iterable[str], most: int, seed: int) -> list[str]:
    """Return up to ``most`` of the texts, each with the same probability (Vitter 1985, algorithm R)."""
    rng = random.Random(seed)
    drawn: list[str] = []
    for number, text in enumerate(texts):
        if number < most:
            drawn.append(text)
        elif (place := rng.randrange(number + 1)) < most:
            drawn[place] = text
    return drawn


def _tokenised(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[np.ndarray]:
    """Return the token ids of each text, cut to MAX_LENGTH."""
    encoded = []
    for start in track(range(0, len(texts), CHUNK), -(-len(texts) // CHUNK), "tokenising", "thousand texts"):
        chunk = tokenizer(texts[start : start + CHUNK], truncation=True, max_length=MAX_LENGTH)
        encoded += [np.array(ids, np.int32) for ids in chunk["input_ids"]]
    return encoded


def _batches(
    encoded: list[np.ndarray], padding: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (ids, attention mask) of texts of like length, for ever, in an order that is drawn anew each time
    round.
    """
    rng = np.random.default_rng(seed)
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    groups: list[list[int]] = []
    start = 0
    for i, text in enumerate(order):
        if (i + 1 - start) * len(encoded[text]) > BATCH_TOKENS:
            groups.append(order[start:i] or [text])
            start = i
    groups.append(order[start:])
    for _ in itertools.count():
        for group in rng.permutation(len(groups)):
            texts = [encoded[i] for i in groups[group]]
            if not texts:
                continue
            longest = max(map(len, texts))
            ids = torch.full((len(texts), longest), padding)
            for row, tokens in zip(ids, texts):
                row[: len(tokens)] = torch.from_numpy(tokens)
            lengths = torch.tensor([len(tokens) for tokens in texts])
            yield ids, (torch.arange(longest)[None, :] < lengths[:, None]).long()


def _masked_loss(
    model: BertForMaskedLM, ids: torch.Tensor, mask: torch.Tensor, tokenizer: PreTrainedTokenizerBase
) -> torch.Tensor:
    """Choose tokens, mask or change some of them, and return the mean loss at the chosen positions."""
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    chosen = (torch.rand(ids.shape) < CHOSEN) & ~special
    if not chosen.any():
        chosen[0, 1] = True
    draw = torch.rand(ids.shape)
    masked = torch.where(chosen & (draw < MASKED), tokenizer.mask_token_id, ids)
    masked = torch.where(chosen & (draw >= MASKED + KEPT), torch.randint_like(ids, len(tokenizer)), masked)
    states = model.bert(input_ids=masked, attention_mask=mask).last_hidden_state
    return cross_entropy(model.cls(states[chosen]), ids[chosen])
