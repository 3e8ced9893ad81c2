"""Training SPLADE models: recipes, the trainer and its losses, the choice of weights, model cards."""
