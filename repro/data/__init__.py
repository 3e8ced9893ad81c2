"""Collections, systems and their weights, artifacts with manifests, impact vectors, runs. Imports no stage."""
