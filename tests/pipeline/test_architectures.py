"""Every architecture of the table, in its shape, with random weights, from a Hub cache to a table."""

import json

import pytest
import torch
from conftest import run_here, succeed, write_beir

from repro.models.systems import find_system, table_systems
from repro.models.weights import resolve

SHAPES = {
    "splade-tiny": ("bert", 2, 128, 2),
    "splade-mini": ("bert", 4, 256, 4),
    "splade-small": ("bert", 4, 512, 8),
    "splade-v3-distilbert": ("distilbert", 6, 768, 12),
    "arctic-embed-s": ("bert", 12, 384, 12),
    "e5-small-v2": ("bert", 12, 384, 12),
    "arctic-embed-m-v1.5": ("bert", 12, 768, 12),
}
"""Model type, layers, hidden size, attention heads."""


def random_model(system: str):
    """Return a random model of the system's shape; SPLADE's output bias keeps texts from using all terms."""
    from transformers import AutoModel, AutoModelForMaskedLM, BertConfig, DistilBertConfig

    kind, layers, hidden, heads = SHAPES[system]
    torch.manual_seed(0)
    if kind == "bert":
        config = BertConfig(
            num_hidden_layers=layers,
            hidden_size=hidden,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
        )
    else:
        config = DistilBertConfig(n_layers=layers, dim=hidden, n_heads=heads, hidden_dim=4 * hidden)
    if table_systems()[system].kind == "dense":
        return AutoModel.from_config(config)
    model = AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        ids = torch.arange(1000, 1064).reshape(4, 16)
        top = model(ids).logits.amax(dim=(0, 1))
        model.get_output_embeddings().bias -= top.quantile(0.99)
    return model


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub cache that holds each system's model as ``huggingface_hub`` would have put it there."""
    from transformers import AutoTokenizer

    root = tmp_path_factory.mktemp("hub")
    tokenizer = AutoTokenizer.from_pretrained(resolve(find_system("splade-tiny")).path)
    for name in SHAPES:
        repository = root / f"models--{table_systems()[name].hub.replace('/', '--')}"
        snapshot = repository / "snapshots" / "0123abcd"
        random_model(name).save_pretrained(snapshot)
        tokenizer.save_pretrained(snapshot)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0123abcd")
    return root


@pytest.fixture(scope="module")
def rows(hub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("architectures")
    write_beir(folder / "tiny")
    succeed(
        *("repro.table", "--collection", "tiny", "--systems", ",".join(SHAPES)),
        cwd=folder,
        by=run_here,
        HF_HUB_CACHE=str(hub),
        HF_HUB_OFFLINE="1",
    )
    return {row["system"]: row for row in json.loads((folder / "tables/tiny-test.json").read_text())["rows"]}


@pytest.mark.parametrize("system", SHAPES)
def test_architecture_goes_through_to_the_table(rows, system):
    row = rows[system]
    assert row["status"] == "measured", row["reason"]
    assert row["weights"]["source"] == f"Hub cache, {table_systems()[system].hub}@0123abcd"
    assert row["weights"]["revision"] == "0123abcd"
    published = table_systems()[system].published["readme"]["parameters"]
    assert row["parameters"] / 1e6 == pytest.approx(published, rel=0.01)  # a pooler or not
    hidden = SHAPES[system][2]
    assert row["document_terms"] == hidden if row["kind"] == "dense" else 10 < row["document_terms"] < 20_000


@pytest.mark.parametrize("system", [name for name in SHAPES if table_systems()[name].kind == "dense"])
def test_dense_vectors_follow_the_model_card(hub, system):
    """Pooling, prefix and normalisation, computed here by hand from the body's last hidden states."""
    from transformers import AutoModel, AutoTokenizer

    from repro.dense.encoder import DenseEncoder

    entry = table_systems()[system]
    folder = hub / f"models--{entry.hub.replace('/', '--')}" / "snapshots" / "0123abcd"
    encoder = DenseEncoder(folder, entry)
    body, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for encode, prefix in (
        (encoder.encode_queries, entry.query_prefix),
        (encoder.encode_documents, entry.passage_prefix),
    ):
        with torch.inference_mode():
            hidden = body(**tokenizer(prefix + "the tide", return_tensors="pt")).last_hidden_state[0]
        pooled = hidden[0] if entry.pooling == "cls" else hidden.mean(dim=0)
        torch.testing.assert_close(
            torch.tensor(encode(["the tide"])[0]), pooled / pooled.norm(), atol=1e-5, rtol=1e-4
        )


def test_weights_that_are_missing_are_an_error_not_random_numbers(hub, tmp_path):
    from safetensors.torch import load_file, save_file

    from repro.base.errors import InputError
    from repro.splade.encoder import SpladeEncoder

    folder = tmp_path / "cut"
    folder.mkdir()
    source = hub / "models--rasyosef--splade-mini" / "snapshots" / "0123abcd"
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors["cls.predictions.transform.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks weights .* cls\.predictions\.transform\.dense\.weight"):
        SpladeEncoder(folder)
