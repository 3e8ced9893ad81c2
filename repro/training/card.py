"""The model card of a trained model: what it is, its recipe, its data, what was measured, how it is used."""

from typing import Any

from repro.base.files import canonical
from repro.training.recipe import Recipe, as_yaml
from repro.training.recipe_entries import MODEL, STATIC_IDF, STATIC_LEARNED

LABELS = {
    "published": "the published recipe of SPLADE Tiny MSMARCO",
    "ours": "a recipe of this project's own, not a published one",
}


def model_card(name: str, recipe: Recipe, facts: dict[str, Any]) -> str:
    """Return the card in Markdown, with the Hub's header.

    ``facts`` is what ``repro.train`` puts into the manifest.
    """
    return f"""---
library_name: sentence-transformers
pipeline_tag: feature-extraction
tags: [sentence-transformers, sparse-encoder, sparse, splade, generated_from_trainer]
base_model: {recipe.base.partition("@")[0]}
---
# {name}

A SPLADE model (max pooling){_queries(recipe)}, trained by `{facts["command"]}` with {LABELS[recipe.origin]}.

```yaml
{as_yaml(recipe).strip()}
```

Trained on {facts["rows"]:,} rows in {facts["steps"]:,} steps; {facts["seconds"]:,.0f} seconds.
Settings: `{canonical(facts["settings"])}`.
Data: `{canonical(recipe.data)}`.

## Measured

{_measured(facts)}

## Use

```python
from sentence_transformers import SparseEncoder

model = SparseEncoder("{name}")
query = model.encode_query(["why is the sky blue"])
passage = model.encode_document(["Air scatters blue light."])
print(model.similarity(query, passage))
```

{_others(recipe, name)} measures it on a collection.
"""


def _queries(recipe: Recipe) -> str:
    """Return how queries are encoded, if not by the model."""
    weights = {STATIC_IDF: "idf of the training passages", STATIC_LEARNED: "learned"}
    if recipe.query_encoder == MODEL:
        return ""
    return f" for documents, with static weights of the queries' tokens ({weights[recipe.query_encoder]})"


def _others(recipe: Recipe, name: str) -> str:
    """Return what else loads the model."""
    if recipe.query_encoder != MODEL:
        return (
            "`transformers.AutoModelForMaskedLM` loads the model of the documents, and\n"
            f"`python -m repro.table --systems splade-doc:{name}`"
        )
    return (
        "`transformers.AutoModelForMaskedLM` and Pyserini's `SpladeQueryEncoder` load it, too (Pyserini "
        "wants `splade`\n"
        f"in the path), and `python -m repro.table --systems splade:{name}`"
    )


def _measured(facts: dict[str, Any]) -> str:
    """Return what chose the weights, and its figures."""
    why = [f"{facts['why'][0].upper()}{facts['why'][1:]}.\n"] if "why" in facts else []
    if choice := facts.get("choice"):
        columns = [key for key in choice[0] if key != "share"]
        rows = [[_named(entry, facts), *(entry[key] for key in columns)] for entry in choice]
        why.append(
            "On the held-out queries, which chose the weights (p is corrected for that, the means are not):\n"
        )
        return "\n".join([*why, *_table(["weights", *columns], rows)])
    if measured := facts.get("held_out"):
        where = (
            f"On {facts['queries']:,} held-out queries over the {facts['passages']:,} passages of their "
            "rows, which also\nchose the checkpoint:\n"
        )
        rows = [[key, value] for key, value in measured.items()]
        return "\n".join([*why, where, *_table(["figure", "value"], rows)])
    return "\n".join(why) or "Nothing was held out to measure it by."


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Return the lines of a table in Markdown, all but its first column numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join('–' if cell is None else str(cell) for cell in line)} |" for line in lines]


def _named(entry: dict[str, Any], facts: dict[str, Any]) -> str:
    """Return the name of the weights at a share of the way from base to trained."""
    share, factors = entry["share"], bool(entry.get("factors"))
    name = "base" if share == 0 else "trained" if share == 1 else f"{share:.0%} of the way"
    name = f"{name}, terms with factors" if factors else name
    kept = (facts["kept"], facts.get("factors", False))
    return f"{name} (kept)" if (share, factors) == kept else name
