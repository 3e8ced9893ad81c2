"""What stages make: stored whole, with manifests, and which depends on which."""
