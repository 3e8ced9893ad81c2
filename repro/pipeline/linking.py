"""``<work>/models/<system>``: a model's files under a name that tells others, as Pyserini, what it is."""

from repro.artifacts.graph import SystemArtifacts
from repro.models.links import link


def link_model(of: SystemArtifacts) -> None:
    """Link what the system's model reads, a SPLADE model's weights in both formats; a folder that was not
    made here is left alone.
    """
    if of.weights is None or of.model.is_current():
        return
    model, weights = of.model, of.weights
    with model.making():
        place = model.path
        own = place.exists() and not place.is_symlink() and model.manifest() is None
        if own or model.is_current():
            return
        folder = model.begin()
        link(weights.path, folder, binary=of.system.indexed.kind == "splade")
        model.finish(folder, weights=weights.record())
