"""The model card of a trained model: what it is, its recipe, its data, what was measured, how it is used."""

from typing import Any

from repro.base.files import canonical
from repro.training.recipe import Recipe, as_yaml

LABELS = {
    "published": "the published recipe of SPLADE Tiny MSMARCO",
    "ours": "a recipe of this project's own, not a published one",
}


def model_card(name: str, recipe: Recipe, facts: dict[str, Any]) -> str:
    """Return the card in Markdown, with the Hub's header.

    ``facts`` is what ``repro.train`` puts into the manifest.
    """
    measured = facts["held_out"]
    figures = "\n".join(f"| {key} | {value} |" for key, value in measured.items())
    return f"""---
library_name: sentence-transformers
pipeline_tag: feature-extraction
tags: [sentence-transformers, sparse-encoder, sparse, splade, generated_from_trainer]
base_model: {recipe.base.partition("@")[0]}
---
# {name}

A SPLADE model (max pooling), trained by `{facts["command"]}` with {LABELS[recipe.origin]}.

```yaml
{as_yaml(recipe).strip()}
```

Trained on {facts["rows"]:,} rows in {facts["steps"]:,} steps; {facts["seconds"]:,.0f} seconds.
Data: `{canonical(recipe.data)}`.

## Measured

On {facts["queries"]:,} held-out queries over the {facts["passages"]:,} passages of their rows, which also
chose the checkpoint:

| figure | value |
| --- | ---: |
{figures}

## Use

```python
from sentence_transformers import SparseEncoder

model = SparseEncoder("{name}")
query = model.encode_query(["why is the sky blue"])
passage = model.encode_document(["Air scatters blue light."])
print(model.similarity(query, passage))
```

`transformers.AutoModelForMaskedLM` and Pyserini's `SpladeQueryEncoder` load it, too (Pyserini wants `splade`
in the path), and `python -m repro.table --systems splade:{name}` measures it on a collection.
"""
