"""The stages' work, put in its place by the store itself, without the engines: runs, manifests, an index and
vectors of no content.
"""

from pathlib import Path

from repro.artifacts.store import Artifact
from repro.cli.options import CollectionOptions, WorkOptions
from repro.formats.runs import write_run
from repro.pipeline.opening import open_artifacts

FACTS = {"documents": 6, "texts": 6, "active_terms": 600, "queries": 3}
Results = dict[str, dict[str, float]]


def put(artifact: Artifact, results: Results | None = None, **facts: object) -> None:
    """Put an artifact in its place; of a run, its results."""
    partial = artifact.begin()
    if results is not None:
        write_run(partial, results.items(), "tag")
    artifact.finish(partial, counts=FACTS, **facts)


def put_system(name: str, results: Results, collection: str = "tiny", split: str | None = None) -> None:
    """Put all in its place that a system's row is measured from."""
    of = open_artifacts(name, CollectionOptions(collection, split), WorkOptions(Path("work")))
    if of.engine.combines:
        put(of.run, results, queries_per_second=500.0, parameters=0)
        return
    if of.engine.encodes:
        put(of.documents, parameters=4_416_698, settings={})
        put(of.queries, parameters=4_416_698, settings={})
    put(of.index, built={}, bytes=2048, written_by=of.engine.written_by())
    put(of.run, results, queries_per_second=1000.0)
