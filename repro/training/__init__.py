"""Training SPLADE models: recipes, distillation data, teachers, the trainer, model cards."""
