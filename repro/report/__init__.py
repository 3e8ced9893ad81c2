"""From runs and manifests to figures, and from figures to tables."""
