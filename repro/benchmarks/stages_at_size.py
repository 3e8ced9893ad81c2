"""The stages of ``python -m repro.bench`` that make what they measure, at sizes that are not at hand.

As those of ``stages``, which lists them, they take a request and return what ``--json`` writes, and a text.
"""

import itertools
from dataclasses import asdict

from repro.artifacts.provenance import provenance
from repro.base.files import remove
from repro.base.locks import locked
from repro.benchmarks.contest import machine
from repro.benchmarks.racing import Record, race
from repro.benchmarks.request import DEFAULT_SYSTEMS, BenchRequest
from repro.collections.opening import open_collection
from repro.formats.impact_vectors import read_vectors


def scale(request: BenchRequest) -> tuple[Record, str]:
    """Index and search drawn collections of growing size, and race the compiled search with block-max pruning
    on them; evaluate a run as long as that of MS MARCO's dev set.
    """
    from repro.benchmarks import block_max, evaluating, scaling

    options, folder = request.options, request.folder.resolve()
    drawn = evaluating.DrawnRun(str(folder / "evaluation"), options.queries, options.hits)
    evaluators = evaluating.contestants(drawn)
    sized = [scaling.name(size) for size in options.sizes]
    pruners = [block_max.name(block) for block in options.blocks]
    request.check_names([*sized, *pruners, *(one.name for one in evaluators)])
    record: Record = {"stage": "scale"}
    texts = []
    if any(map(request.takes, [*sized, *pruners])):
        queries, documents = request.encoded_queries(), request.artifacts(request.splits[0]).documents
        vectors = request.reading(documents, "encode")
        collection = scaling.draw(vectors, documents.fingerprint, folder / "scale", options.sizes)
    if any(map(request.takes, sized)):
        racers = scaling.contestants(
            folder / "scale", options.sizes, queries, options.hits, request.work.threads, options.memory
        )
        hits, memory = options.hits, options.memory
        record, text = race(request, racers, "documents a second", hits=hits, memory=memory)
        texts.append(text)
    if any(map(request.takes, pruners)):
        pruned, text = block_max.race_sizes(request, collection, queries)
        record |= pruned
        texts.append(text)
    if any(request.takes(one.name) for one in evaluators):
        evaluating.make(drawn)
        record["evaluation"], text = race(
            request,
            evaluators,
            "run lines a second",
            warm=False,
            queries=options.queries,
            hits=options.hits,
        )
        texts += [f"A run of {options.queries:,} queries x {options.hits:,} hits, evaluated:", text]
    return record, "\n\n".join(texts)


def walk(request: BenchRequest) -> tuple[Record, str]:
    """Walk the way of a SPLADE row at a size that is not at hand, and add up what its stages take."""
    from repro.benchmarks import walking

    options, of = request.options, request.artifacts(request.splits[0])
    way = walking.Way(
        str((request.folder / "walk").resolve()),
        request.system,
        request.collection.collection,
        request.splits[0],
        options.limit,
        options.documents,
        options.queries,
        options.hits,
        request.work.threads,
        options.memory,
    )
    vectors, queries = request.reading(of.documents, "encode"), request.encoded_queries()
    sources = [of.documents, *(request.artifacts(split).queries for split in request.splits)]
    walking.draw(way, vectors, queries, [source.fingerprint for source in sources])
    stages = walking.contestants(way)
    facts = {"documents": options.documents, "queries": options.queries, "hits": options.hits}

    whole = options.only is None

    def compared() -> Record:
        return {"check": walking.check(way, options.every)} if whole else {}

    record, text = race(
        request, stages, "items a second", compared, alone=True, warm=False, rounds=1, **facts
    )
    return record, f"{text}\n\n{walking.total(record)}" if whole else text


def memory(request: BenchRequest) -> tuple[Record, str]:
    """Encode, and index and search dense vectors, at growing sizes: a process each, once."""
    from repro.benchmarks import memory as measuring

    options, threads = request.options, request.work.threads
    folder = request.folder.resolve() / "memory"
    systems = (request.system, DEFAULT_SYSTEMS["dense"])
    measured = measuring.dense(options.sizes, folder, options.hits, threads)
    encoders = measuring.encoders(systems, request.collection, options.limit, folder, threads)
    request.check_names([one.name for one in (*encoders, *measured)])
    if any(request.takes(one.name) for one in measured):
        measuring.draw(folder, options.sizes)
    return race(
        request, [*encoders, *measured], "items a second", alone=True, warm=False, rounds=1, hits=options.hits
    )


def killed(request: BenchRequest) -> tuple[Record, str]:
    """Kill each stage of a SPLADE row at random moments, and compare what it makes in the end with what it
    makes undisturbed.
    """
    from repro.benchmarks import killed_stages, killing

    options, folder = request.options, request.folder.resolve() / "killed"
    request.check_names(killed_stages.NAMES)
    request.locks.enter_context(locked(folder.with_name("killed.lock"), wait=request.work.wait))
    remove(folder)
    row = killed_stages.Row(folder, request.system, options.hits, options.memory, request.work.threads)
    sets = [open_collection(request.collection.collection, split) for split in request.splits]
    queries = list({query.id: query for of in sets for query in of.queries()}.values())
    steps = []
    if request.takes("encode"):
        passages = itertools.islice(sets[0].documents(), options.limit)
        steps.append(killed_stages.encoding(row, passages, queries))
    if any(map(request.takes, killed_stages.NAMES[1:])):
        documents = request.artifacts(request.splits[0]).documents
        vectors = request.reading(documents, "encode")
        real = [list(vector.vector.items()) for vector in read_vectors(vectors)]
        parameters = (documents.manifest() or {})["parameters"]
        steps += killed_stages.drawn_steps(row, real, parameters, options.sizes[0], queries)
    found = killing.kill_those(steps, request.takes, options.kills, folder / "undisturbed")
    differing = [sentence for one in found for sentence in one.differing]
    record: Record = {
        "stage": "killed",
        "collection": request.collection.collection,
        "system": request.label,
        "queries": len(queries),
        "hits": options.hits,
        "threads": request.work.threads,
        "stages": [asdict(one) for one in found],
        "differing": differing,
        "machine": machine(),
        "made": provenance(),
    }
    where = f"{len(queries):,} queries, {options.hits:,} hits each. With {request.work.threads} threads on"
    sentence = f"{where} {record['machine']['processor']}."
    return record, "\n\n".join([killing.killed_table(found), "\n".join([*differing, sentence])])
