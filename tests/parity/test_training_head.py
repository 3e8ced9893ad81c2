"""The trainable head against Sentence Transformers' own modules: the same loss and the same gradients."""

import pytest
import torch
from conftest import kernels_of
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.losses import SparseMarginMSELoss, SpladeLoss
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import AutoTokenizer, DistilBertConfig, DistilBertForMaskedLM

from repro.collections.opening import open_collection
from repro.compiled import native
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade import trainable_head
from repro.splade.acceleration import accelerate
from repro.splade.trainable_head import TrainableHead

QUERIES, NEGATIVES = 6, 3
EXACTLY_ZERO = (
    "key.bias"  # adds the same to all of a token's attention logits: its gradient is rounding alone
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The released splade-tiny, and a DistilBERT of random weights whose output layer is its own."""
    bert = resolve(find_system("splade-tiny")).path
    distilbert = tmp_path_factory.mktemp("models") / "splade-distilbert"
    tokenizer = AutoTokenizer.from_pretrained(bert)
    torch.manual_seed(3)
    shape = {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 2, "tie_word_embeddings": False}
    model = DistilBertForMaskedLM(DistilBertConfig(vocab_size=len(tokenizer), **shape))
    with torch.no_grad():
        model.vocab_projector.weight.normal_(0, 0.3)
        model.vocab_projector.bias.fill_(-2.0)
    model.save_pretrained(distilbert)
    tokenizer.save_pretrained(distilbert)
    return {"bert": bert, "distilbert": distilbert}


def build(folder):
    """A stock model in training mode without dropout."""
    body = Transformer(str(folder), transformer_task="fill-mask", max_seq_length=128)
    model = SparseEncoder(modules=[body, SpladePooling("max")], device="cpu").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


@pytest.fixture(scope="module")
def stock(models):
    """What the stock modules find: of each architecture the loss and the gradients."""
    return {name: gradients(build(folder)) for name, folder in models.items()}


def batch():
    sample = open_collection("sample", "train")
    documents = [d.text for d, _ in zip(sample.documents(), range(QUERIES * (1 + NEGATIVES)))]
    columns = [[query.text for query, _ in zip(sample.queries(), range(QUERIES))]]
    columns += [documents[i * QUERIES : (i + 1) * QUERIES] for i in range(1 + NEGATIVES)]
    columns[1][0] = "Short."
    return columns, 10 * torch.rand(QUERIES, NEGATIVES, generator=torch.Generator().manual_seed(1))


def gradients(model):
    columns, labels = batch()
    features = [model.preprocess(column) for column in columns]
    ranking = SparseMarginMSELoss(model)
    loss = SpladeLoss(model, ranking, document_regularizer_weight=0.3, query_regularizer_weight=0.5)
    parts = loss(features, labels)
    sum(parts.values()).backward()
    values = {name: part.item() for name, part in parts.items()}
    return values, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
@pytest.mark.parametrize("level", [*native.LEVELS, "none"])
def test_loss_and_gradients_equal_the_stock_modules(models, stock, architecture, level):
    expected, theirs = stock[architecture]
    with kernels_of(level):
        found, ours = gradients(accelerate(build(models[architecture]), threads=2))
    assert found == pytest.approx(expected, rel=1e-5)
    assert ours.keys() == theirs.keys() and len(theirs) > 30
    whole = torch.cat([gradient.flatten() for gradient in theirs.values()]).norm()
    for name, gradient in theirs.items():
        difference = (ours[name] - gradient).norm()
        scale = whole if name.endswith(EXACTLY_ZERO) or "k_lin.bias" in name else gradient.norm()
        assert difference <= 1e-5 * scale, name


def test_activations_computed_a_second_time_give_the_same_gradients(models, stock, monkeypatch):
    """Beyond KEPT_BYTES, as with large batches: here for every group of texts."""
    runs = []
    recompute = trainable_head.checkpoint
    monkeypatch.setattr(trainable_head, "checkpoint", lambda *a, **k: runs.append(1) or recompute(*a, **k))
    monkeypatch.setattr(trainable_head, "KEPT_BYTES", 0)
    monkeypatch.setattr(trainable_head, "GROUP_TOKENS", 512)
    expected, theirs = stock["bert"]
    found, ours = gradients(accelerate(build(models["bert"]), threads=2))
    assert len(runs) > 3
    assert found == pytest.approx(expected, rel=1e-5)
    for name, gradient in theirs.items():
        if not name.endswith(EXACTLY_ZERO):
            assert (ours[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_a_wrong_winner_would_be_seen(models, stock, monkeypatch):
    """The test above must be able to fail: shift the winning tokens by one."""
    whole = TrainableHead._winners

    def shifted(self, hidden, lengths):
        won = whole(self, hidden, lengths)
        return won._replace(tokens=(won.tokens + 1) % lengths[won.texts])

    _, theirs = stock["bert"]
    monkeypatch.setattr(TrainableHead, "_winners", shifted)
    _, ours = gradients(accelerate(build(models["bert"]), threads=2))
    name = "0.model.cls.predictions.transform.dense.weight"
    assert (ours[name] - theirs[name]).norm() > 1e-2 * theirs[name].norm()


def test_thirty_steps_follow_the_same_curve(models):
    curves = []
    for model in (build(models["bert"]), accelerate(build(models["bert"]), threads=2)):
        columns, labels = batch()
        short = [[" ".join(text.split()[:24]) for text in column[:2]] for column in columns]
        features, labels = [model.preprocess(column) for column in short], labels[:2]
        ranking = SparseMarginMSELoss(model)
        loss = SpladeLoss(model, ranking, document_regularizer_weight=0.3, query_regularizer_weight=0.5)
        # fused, as in the recipes: it changes parameters without counting up their version
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        curve = []
        for _ in range(30):
            total = sum(loss([dict(f) for f in features], labels).values())
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            curve.append(total.item())
        curves.append(curve)
    assert curves[1] == pytest.approx(curves[0], rel=2e-3)
    assert curves[0][-1] < 0.7 * curves[0][0]


def test_screening_follows_a_fused_optimiser(models):
    """It changes parameters without counting up their version, so that stale bounds would go unnoticed."""
    columns, _ = batch()
    ours = accelerate(build(models["bert"]), threads=2)
    optimiser = torch.optim.AdamW(ours.parameters(), lr=3e-3, fused=True)
    for _ in range(4):
        optimiser.zero_grad()
        features = ours.preprocess(columns[0])
        (-ours(features)["sentence_embedding"].sum()).backward()  # ever more terms
        optimiser.step()
    stock = build(models["bert"])
    stock.load_state_dict(ours.state_dict())
    expected = stock.eval().encode(columns[1], convert_to_sparse_tensor=False)
    found = ours.eval().encode(columns[1], convert_to_sparse_tensor=False)
    assert (expected > 0).sum() > 2000
    assert torch.allclose(found, expected, atol=1e-4)


def test_state_and_folder_stay_those_of_a_stock_model(models, tmp_path):
    stock, ours = build(models["bert"]), accelerate(build(models["bert"]))
    assert ours.state_dict().keys() == stock.state_dict().keys()
    ours.save_pretrained(str(tmp_path / "splade-saved"), create_model_card=False)
    modules = (tmp_path / "splade-saved/modules.json").read_text()
    assert "repro" not in modules and "SpladePooling" in modules
    loaded = SparseEncoder(str(tmp_path / "splade-saved"), device="cpu")
    texts = batch()[0][1]
    expected = stock.eval().encode(texts, convert_to_sparse_tensor=False)
    assert torch.allclose(loaded.encode(texts, convert_to_sparse_tensor=False), expected, atol=1e-6)
    assert torch.allclose(ours.eval().encode(texts, convert_to_sparse_tensor=False), expected, atol=1e-5)


def test_groups_cover_all_texts_and_pad_little():
    lengths = sorted([5, 5, 6, 7, 64, 64, 65, 128, 128, 500] * 30)
    groups = trainable_head._groups(lengths, cuda=False)
    assert [i for group in groups for i in range(group.start, group.stop)] == list(range(len(lengths)))
    padded = sum((g.stop - g.start) * lengths[g.stop - 1] for g in groups)
    assert padded < 1.1 * sum(lengths)
    assert trainable_head._groups([10_000], cuda=False) == [slice(0, 1)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gradients_on_a_gpu(models):
    _, expected = gradients(build(models["bert"]).cuda())
    _, found = gradients(accelerate(build(models["bert"]).cuda()))
    for name, gradient in expected.items():
        if not name.endswith(EXACTLY_ZERO):
            assert (found[name] - gradient).norm() <= 1e-3 * gradient.norm(), name
