"""Index a collection on several machines: each a share of the documents, and then Lucene merges all shares.

The merged index has the documents of one share after the other, in the collection's order; terms, postings,
norms and stored fields are those of an index that one machine built, and so are the runs, byte for byte. The
shares of encoded documents need not be put together before: where one lies, it is indexed.
"""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.artifacts.graph import SystemArtifacts
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import link_or_copy, remove
from repro.base.progress import note
from repro.base.records import numbered_lines
from repro.cli.options import IndexingOptions, WorkOptions
from repro.cli.share_options import Share
from repro.engines.lucene import LuceneIndexes
from repro.formats.impact_vectors import shard_paths
from repro.pipeline.indexing import begin_anew, check_asked, lay_out, needed, put_in_place, request
from repro.pipeline.shared_encoding import encoded_shares
from repro.pipeline.sharing import Found, Sharing, merge, shards_of


def index_share(of: SystemArtifacts, work: WorkOptions, building: IndexingOptions, share: Share) -> Artifact:
    """Index a share of the documents, unless that is there and current; return it.

    The index itself, if it is current. Impact vectors are those of all documents, or of the same share of
    them. InputError if neither are there, if there are fewer shards of them than shares, or if the system has
    no Lucene index.
    """
    _lucene(of, building)
    if building.postings:
        raise InputError("--postings: those of a share are not laid out; give it with --merge")
    if not needed(of, work, building):
        note(f"{of.index.path} is whole: nothing is left to index")
        return of.index
    if not of.engine.encodes:  # each document is a shard
        numbers = shards_of(share, of.corpus.documents, 1, of.collection.name, "index it in one piece")
        return _make(of, work, building, share, 1, numbers)
    with of.documents.reading(work.wait):
        if of.documents.is_current():
            shards = shard_paths(of.documents.path)
            size = sum(1 for _ in numbered_lines(shards[0]))
            cure = "encode it anew with a lower --shard-size"
            numbers = shards_of(share, of.corpus.documents, size, of.collection.name, cure)
            return _make(of, work, building, share, size, numbers, [shards[n] for n in numbers])
    for found in encoded_shares(of).shares(of.documents.path):
        if found.share == share:
            with found.artifact.reading(work.wait):
                if found.artifact.is_current():
                    size = found.manifest["inputs"]["share"]["size"]
                    numbers = shards_of(
                        share, of.corpus.documents, size, of.collection.name, "encode it anew"
                    )
                    shards = shard_paths(found.artifact.path)
                    return _make(of, work, building, share, size, numbers, shards)
    raise InputError(
        f"neither {of.documents.path} nor share {share} of it is there and current; run first: python -m "
        f"repro.encode --shard {share} (same options)"
    )


def merge_indexed(
    of: SystemArtifacts, work: WorkOptions, building: IndexingOptions, others: Sequence[Path]
) -> Artifact:
    """Make the index of the shares that lie in ``work``, or in ``others`` (as --work), too; return it.

    InputError, which says which, if shares are missing, are of other settings, or were made by another
    version of Lucene. Of what was merged, ``work`` keeps no share.
    """
    engine = _lucene(of, building)
    merge(
        _indexed_shares(of, building),
        work,
        others,
        lambda: needed(of, work, building),
        lambda found: _put_together(of, engine, work, building, found),
    )
    lay_out(of, work, building)
    return of.index


def _lucene(of: SystemArtifacts, building: IndexingOptions) -> LuceneIndexes:
    engine = check_asked(of, building)
    if not isinstance(engine, LuceneIndexes):
        raise InputError(
            f"--shard and --merge are of Lucene's indexes, and {of.system.name} has another, which takes "
            "little more time than reading its vectors: index it in one piece"
        )
    return engine


def _indexed_shares(of: SystemArtifacts, building: IndexingOptions) -> Sharing:
    """Return how the index is shared out. Lucene merges no segments of different versions, and a share's own
    segments are left as they are, since all shares' are merged in one pass.
    """
    engine = of.index_engine
    built = engine.built(building)
    del built["merge"]
    inputs = {"built": built, "written_by": engine.written_by()}
    return Sharing(of.index, of.work, "repro.index", "indexed", ("counts", "bytes"), inputs)


def _make(
    of: SystemArtifacts,
    work: WorkOptions,
    building: IndexingOptions,
    share: Share,
    size: int,
    numbers: range,
    vectors: Sequence[Path] = (),
) -> Artifact:
    """Index the documents of shards with these ``numbers``, from ``vectors`` if they were encoded."""
    artifact = _indexed_shares(of, building).share(share, size)
    if not work.force and artifact.is_current():
        return artifact
    engine, documents = of.index_engine, of.corpus.documents
    start, end = numbers.start * size, min(numbers.stop * size, documents)
    with artifact.making(work.wait):
        if work.force or not artifact.is_current():
            folder = artifact.begin()
            segments = dataclasses.replace(building, merge=False)
            asked, started = request(of, work, segments, artifact, end - start), time.perf_counter()
            if engine.encodes:
                with _gathered(vectors, artifact.path.with_name(f"{artifact.path.name}.vectors")) as gathered:
                    counts = engine.build_index(gathered, asked, folder)
            else:
                texts = of.collection.documents()
                counts = engine.build_index(itertools.islice(texts, start, end), asked, folder)
            put_in_place(of, artifact, folder, started, counts)
    return artifact


@contextlib.contextmanager
def _gathered(files: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Have files in a folder of their own, since an indexer reads all that lie in one."""
    remove(folder)  # a killed process's
    folder.mkdir()
    try:
        for path in files:
            link_or_copy(path, folder / path.name)
        yield folder
    finally:
        remove(folder)


def _put_together(
    of: SystemArtifacts,
    engine: LuceneIndexes,
    work: WorkOptions,
    building: IndexingOptions,
    found: list[Found],
) -> None:
    counted = [each.manifest["counts"] for each in found]
    counts = {name: sum(each[name] for each in counted) for name in ("documents", "empty")}
    if (made := sum(counts.values())) != of.corpus.documents:
        raise InputError(
            f"the shares have {made:,} documents, and {of.collection.name} {of.corpus.documents:,}; "
            "index them again with --force"
        )
    folder, started = begin_anew(of, work), time.perf_counter()
    asked = request(of, work, building, of.index, made)
    merged = engine.merge_indexes([each.artifact.path for each in found], asked, folder)
    if merged != counts["documents"]:
        raise InputError(
            f"the shares' indexes hold {merged:,} of {counts['documents']:,} documents; were they changed? "
            "Index them again with --force"
        )
    put_in_place(of, of.index, folder, started, counts, built=of.index_engine.built(building))
