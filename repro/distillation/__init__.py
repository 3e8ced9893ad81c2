"""From a collection to distillation data: queries, candidates, a teacher's margins."""
