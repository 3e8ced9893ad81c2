"""Training without inference of queries: the accelerated Router beside Sentence Transformers' own."""

import pytest
import torch
from datasets import Dataset

from repro.models.links import link
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.training.inference_free import inference_free, token_weights
from repro.training.trainer import longest, open_model

ROWS = {
    "query": ["why does the sea rise and fall", "bread, bread and salt"],
    "positive": ["The moon's gravity pulls the oceans.", "Yeast makes carbon dioxide, and bread rises."],
    "negative_1": ["Sea salt is made by letting water dry.", "The moon's gravity pulls the oceans."],
}


@pytest.fixture(scope="module")
def models():
    """An accelerated model and one of the library's own modules, with the same weights."""
    path, rows = resolve(find_system("splade-tiny")).path, Dataset.from_dict(ROWS)
    return [inference_free(open_model(path, 32, stock, 1, dropout=0), rows, True) for stock in (False, True)]


def features(model, column):
    """Return what the trainer's collator makes of a column."""
    task = "query" if column == "query" else "document"
    return model.preprocess(ROWS[column], task=task)


def test_both_sides_have_the_librarys_vectors_and_gradients(models):
    scores, gradients = [], []
    for model in models:
        model.train()
        query, passage = (model(features(model, c))["sentence_embedding"] for c in ("query", "positive"))
        scores.append(query @ passage.T)
        scores[-1].sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    torch.testing.assert_close(*scores, atol=1e-4, rtol=1e-5)
    assert scores[0].diagonal().min() > 0 and gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-4, rtol=1e-4, msg=name)
    assert gradients[0]["0.sub_modules.query.0.weight"].count_nonzero() > 0


def test_encoding_is_the_librarys(models):
    for texts, encode in ((ROWS["query"], "encode_query"), (ROWS["negative_1"], "encode_document")):
        ours, theirs = (getattr(model, encode)(texts).to_dense() for model in models)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_positions_are_those_of_the_documents_side(models):
    """To which a length is set back that was for the training only (max_length: auto)."""
    assert [longest(model) for model in models] == [512, 512]


def test_a_saved_router_is_a_base_and_linked_with_its_documents_in_a_subfolder(models, tmp_path):
    saved, linked = tmp_path / "model", tmp_path / "linked"
    models[1].save_pretrained(str(saved), create_model_card=False)
    assert not (saved / "config.json").exists()
    again = open_model(saved, 32, True, 1)  # what load_masked_lm reads, as an ONNX export does
    ours, theirs = (model.encode_document(ROWS["positive"]).to_dense() for model in (again, models[1]))
    torch.testing.assert_close(ours, theirs)
    link(saved, linked, binary=True)
    assert {"config.json", "tokenizer.json", "pytorch_model.bin"} <= {path.name for path in linked.iterdir()}


def test_ids_of_a_vocabulary_may_have_gaps():
    class Words:
        all_special_ids = (0,)

        def get_vocab(self):
            return {"[PAD]": 0, "salt": 7}

        def __call__(self, texts, **_):
            return {"input_ids": [[7] if "salt" in text.lower() else [] for text in texts]}

    weights = token_weights(Words(), Dataset.from_dict(ROWS))
    assert len(weights) == 8 and weights[0] == 0 < weights[7] < weights[1]
